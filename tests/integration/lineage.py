# SPDX-License-Identifier: Apache-2.0
"""Selectors for agents, end to end: the main process of a unit gets the identity, what it starts gets none or another one;
scripts are told apart; an entry that is too wide is warned of. The units are cgroups that look like them."""
import os
import re
import shlex
import unittest
from pathlib import Path

from kit.proc import BIN, IS_ROOT, wait_for
from kit.world import NODE, TD, Case, main

CGROUPS = [p for p in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()]
CAN = IS_ROOT and CGROUPS and os.access(CGROUPS[0] / "cgroup.procs", os.W_OK)
FETCH = f"{BIN}/writ svid fetch -timeout 3s"


def ids(done):
    return sorted(set(re.findall(rf"spiffe://{re.escape(TD)}/(\S+)", done.stdout)))


class Unit:
    """A cgroup of its own for each launch, under a name that an entry asks for."""

    def __init__(self, name):
        self.slice = CGROUPS[0] / f"writ{os.getpid()}.slice"
        self.path = self.slice / f"{name}.service"
        self.path.mkdir(parents=True)
        self.procs = self.path / "cgroup.procs"

    def close(self):
        wait_for(lambda: not self.procs.read_text(), 10, "the unit is empty")
        self.path.rmdir()
        if not any(p.is_dir() for p in self.slice.iterdir()):
            self.slice.rmdir()


class Lineage(Case):
    @classmethod
    def prepare(cls):
        if not CAN:
            return
        cls.world.start()
        for kind in ("main:true", "depth:1", "depth:2"):
            for unit in ("front", "child", "grandchild", "orphan"):
                cls.world.entry(f"{unit}/{kind.replace(':', '/')}", f"systemd:id:{unit}.service", f"proc:{kind}", "unix:uid:0")

    def setUp(self):
        if not CAN:
            self.skipTest("needs root, and a cgroup v2 that can be changed")

    def launch(self, name, script):
        """What runs is the unit's main process: its parent, this test, is outside."""
        unit = Unit(name)
        try:
            return self.world.scene.run(["/bin/sh", "-c", f"echo $$ > {unit.procs} && {script}"], env=self.world.endpoint)
        finally:
            unit.close()

    def test_main_process(self):
        done = self.launch("front", f"exec {FETCH}")
        self.assertEqual(ids(done), ["front/main/true"], done.stderr)

    def test_child_gets_its_own_and_not_the_parents(self):
        done = self.launch("child", f"{FETCH}; true")
        self.assertEqual(ids(done), ["child/depth/1"], done.stderr)

    def test_grandchild(self):
        inner = shlex.quote(f"{FETCH}; true")
        done = self.launch("grandchild", f"sh -c {inner}; true")
        self.assertEqual(ids(done), ["grandchild/depth/2"], done.stderr)

    def test_orphan_of_a_living_main_process(self):
        inner = shlex.quote(f"while kill -0 $PPID 2>/dev/null && [ $(cut -d' ' -f4 /proc/$$/stat) = $1 ]; do :; done; "
                            f"{FETCH}; echo exit $? > done")
        # The shell between starts it in the background and ends; the unit's main process waits for the answer.
        middle = shlex.quote(f"sh -c {inner} sh $$ & exit 0")
        done = self.launch("orphan", f"rm -f done; sh -c {middle}; while [ ! -s done ]; do sleep 0.05; done; cat done")
        self.assertEqual(ids(done), [], done.stderr)
        self.assertIn("no identity issued", done.stderr)
        self.assertIn("exit 4", done.stdout)


class Scripts(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        uid = os.getuid()
        for name in ("mail", "shop"):
            path = w.dir / f"{name}.sh"
            path.write_text(f"#!/bin/sh\n{FETCH}\nexit $?\n")
            path.chmod(0o755)
            # The script asks through a child, so what is known of the shell has to be the child's ancestor.
            w.entry(f"script/{name}", f"unix:uid:{uid}", f"script:path:{os.path.realpath(path)}")
        w.entry("child-of/sh", f"unix:uid:{uid}", f"unix:path:{os.path.realpath(BIN / 'writ')}",
                f"proc:ancestor-path:{os.path.realpath('/bin/sh')}")

    def test_a_program_of_its_own_is_no_script(self):
        done = self.world.scene.run([BIN / "writ", "svid", "fetch", "-timeout", "3s"], env=self.world.endpoint)
        self.assertEqual(ids(done), [])

    def test_ancestors_are_known_by_their_program(self):
        done = self.world.scene.run([self.world.dir / "mail.sh"], env=self.world.endpoint)
        self.assertEqual(ids(done), ["child-of/sh"], done.stderr)

    def test_preview_finds_the_script(self):
        w = self.world
        path = os.path.realpath(w.dir / "wait.sh")
        Path(path).write_text("#!/bin/sh\nsleep 60\n:\n")
        Path(path).chmod(0o755)
        running = w.scene.start("wait", ["/bin/sh", path], env=w.endpoint)
        out = w.writ("entry", "preview", "-selector", f"script:path:{path}", "-adminSocketPath", w.dir / "agent" / "admin.sock",
                     check=False)
        self.assertIn(str(running.pid), out.stdout + out.stderr)


class Warnings(Case):
    def create(self, *more):
        argv = ["entry", "create", "-parentID", NODE, "-spiffeID", f"spiffe://{TD}/wide", "-selector",
                "unix:path:/usr/bin/python3.11", *more]
        return self.world.writ(*argv, check=False)

    @classmethod
    def prepare(cls):
        cls.world.start(agent=False)

    def test_strict_stores_nothing_and_without_it_one_is_warned(self):
        done = self.create("-strict")
        self.assertEqual(done.returncode, 2)
        self.assertIn("W-INTERP", done.stderr)
        self.assertIn("Found 0 entries", self.world.writ("entry", "show"))
        done = self.create()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("W-INTERP", done.stderr)
        self.assertNotIn("W-", done.stdout)
        self.assertIn("Found 1 entry", self.world.writ("entry", "show"))


if __name__ == "__main__":
    main()
