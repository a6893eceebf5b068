# SPDX-License-Identifier: Apache-2.0
"""Where a process is: a delegated cgroup whose names say "container", "pod", "unit" or "job", a mount table that says so, a
main thread that has ended, and an agent that is started where it sees something else than the machine (A10, A11, A12, A17)."""
import os
import subprocess
import sys
import unittest
from pathlib import Path

from kit.proc import BIN, IN_CONTAINER, IS_ROOT, wait_for
from kit.world import Case, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bars"))
from posing import PROGRAMS, Posing, Row  # noqa: E402

CGROUPS = Path("/sys/fs/cgroup")
UID = 41000 + os.getpid() % 8000
HEX, ROOTS_HEX = f"{UID:016x}" * 4, f"{UID:016x}" * 3 + "f" * 16
POD = f"{UID:08x}-1111-2222-3333-444455556666"
POD_ = POD.replace("-", "_")
JOB = 7000000 + UID
UNIT = f"writ-victim-{UID}.service"

# As a runtime would name them, if the folder above were the machine's root.
FORMS = [
    f"docker/{HEX}", f"docker-{HEX}.scope", f"system.slice/docker-{HEX}.scope", f"kubepods/pod{POD}/{HEX}",
    f"kubepods/burstable/pod{POD}/crio-{HEX}",
    f"kubepods.slice/kubepods-pod{POD_}.slice/cri-containerd-{HEX}.scope",
    f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/crio-{HEX}.scope",
    f"system.slice/containerd.service/kubepods-pod{POD_}.slice:cri-containerd:{HEX}",
    f"machine.slice/libpod-{HEX}.scope", f"libpod_parent/libpod-{HEX}",
    f"system.slice/slurmstepd.scope/job_{JOB}/step_0/user/task_0", f"slurm/uid_0/job_{JOB}/step_0",
    f"system.slice/{UNIT}", f"0::/docker/{HEX}", f"1:name=systemd:/docker/{HEX}", f"a b:/system.slice/{UNIT}",
]
WANTED = [f"container:id:{HEX}", f"container:pod:{POD}", f"systemd:id:{UNIT}", f"slurm:job_id:{JOB}"]


def hierarchies():
    """Folders of the cgroup file systems here: v2 first."""
    v2 = CGROUPS / "unified" if (CGROUPS / "unified").is_dir() else CGROUPS
    return [h for h in (v2, CGROUPS / "systemd", CGROUPS / "freezer") if (h / "cgroup.procs").exists()]


def join(*folders):
    """For preexec_fn: the process is moved, as systemd moves a user's, and then is the user's."""
    def run():
        for folder in folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))
    return run


class InCgroups(Case):
    @classmethod
    def tearDownClass(cls):
        for folder in reversed(cls.made):
            try:
                folder.rmdir()
            except OSError as e:
                print(f"left behind: {e}")
        super().tearDownClass()

    def make(self, top, path, owner=0, mode=0o755, owned_from=None):
        """A folder and those above it; from owned_from on they are the owner's."""
        at = top
        for name in Path(path).parts:
            at = at / name
            if not at.is_dir():
                at.mkdir()
                self.made.append(at)
            if owned_from and (at == top / owned_from or top / owned_from in at.parents):
                at.chmod(mode)
                os.chown(at, owner, owner)
        return at


@unittest.skipUnless(IS_ROOT, "needs root, to make cgroups")
class Places(InCgroups):
    @classmethod
    def prepare(cls):
        w, cls.made, cls.n = cls.world, [], 0
        conf = w.agent.conf.read_text()
        w.agent.conf.write_text(conf.replace("plugins {", "plugins {\n\tWorkloadAttestor \"slurm\" {\n\t\tplugin_data {}\n\t}", 1))
        w.start()
        cls.posing = Posing(w)
        cls.posing.trusted, cls.posing.pose = w.tool("trusted", PROGRAMS), w.tool("pose", PROGRAMS)
        for selector in WANTED:
            w.entry(f"victim/{WANTED.index(selector)}", selector)
        w.entry("roots", f"container:id:{ROOTS_HEX}")
        w.entry("host", "cgroup:path:/", f"unix:uid:{UID}")
        w.entry("anywhere", f"unix:uid:{UID + 2}")
        wait_for(lambda: cls.posing.ask_once(UID + 2, "anywhere") == "S", 20, "the agent has the entries")

    def ask_in(self, *folders, wanted="victim", uid=UID):
        into = join(*folders)
        argv = [self.posing.trusted, "ask", self.world.socket, self.posing.id(wanted)]
        wrapped = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *argv]
        return subprocess.run([str(a) for a in wrapped], capture_output=True, text=True, timeout=20, check=True,
                              preexec_fn=into, cwd="/").stdout[:1]

    def test_roots_own_folders_name_a_container(self):
        for h in hierarchies()[:2]:
            with self.subTest(h.name):
                self.assertEqual(self.ask_in(self.make(h, f"docker/{ROOTS_HEX}"), wanted="roots"), "S")

    def refuse_all(self, h, base, **how):
        for form in FORMS:
            with self.subTest(base=base, form=form, hierarchy=h.name):
                folder = self.make(h, f"{base}/{form}", owned_from=base, **how)
                entry = self.world.entry(f"victim/path/{self.n}", f"cgroup:path:/{base}/{form}")
                type(self).n += 1
                # Not the user of the entry for the host: where only a v1 hierarchy is crafted, that is right.
                self.assertEqual(self.ask_in(folder, uid=UID + 1), "R", entry)

    def test_names_in_a_users_own_slice(self):
        self.refuse_all(hierarchies()[0], f"user.slice/user-{UID}.slice/user@{UID}.service", owner=UID)

    def test_names_in_a_delegated_folder(self):
        for h in hierarchies():
            self.refuse_all(h, f"writ-given-{UID}", owner=UID)

    def test_names_in_a_folder_that_all_may_write(self):
        self.refuse_all(hierarchies()[0], f"writ-open-{UID}", mode=0o777)

    def test_hierarchies_that_contradict_each_other(self):
        if len(hierarchies()) < 2:
            self.skipTest("one hierarchy here")
        v2, v1 = hierarchies()[:2]
        folders = [self.make(v2, f"docker/{ROOTS_HEX}"), self.make(v1, f"docker/{HEX}")]
        for wanted in ("roots", "victim"):
            self.assertEqual(self.ask_in(*folders, wanted=wanted), "R")

    def test_a_container_of_v1_is_not_the_host(self):
        v1 = [h for h in CGROUPS.iterdir() if h.name != "unified" and (h / "release_agent").exists()]
        if not v1:
            self.skipTest("no v1 hierarchy here")
        folders = [self.make(h, f"docker/{ROOTS_HEX}") for h in v1 if h.name != "cpuset"]
        self.assertEqual(self.ask_in(*folders, wanted="roots"), "S")
        self.assertNotEqual(self.ask_in(*folders, wanted="host"), "S")

    def test_a_container_whose_main_thread_ended_is_not_the_host(self):
        p = self.posing
        row = Row("A10", "leader-exits", 0, 0, 1, wanted="host")
        sets = [[h] for h in hierarchies()] + [hierarchies()]
        for hs in sets:
            with self.subTest([h.name for h in hs]):
                folders = [self.make(h, f"docker/{ROOTS_HEX}") for h in hs]
                script = "".join(f"echo $$ >{f}/cgroup.procs; " for f in folders) + 'exec "$@"'
                got = p.attack(row, 10, uid=UID, argv=["sh", "-ec", script, "sh"])
                self.assertEqual((got["served"], got["unready"]), (0, 0), got)

    def test_a_crafted_mount_table(self):
        """A12: in namespaces of its own a process mounts folders whose names say that it is in a container."""
        w = self.world
        base = w.dir / "docker" / HEX
        base.mkdir(parents=True)
        script = (f"mount --bind {base} /mnt && mount -t tmpfs -o size=4k docker-{HEX}.scope /media; "
                  f"mount -t cgroup2 none /srv 2>/dev/null; grep -q {HEX} /proc/self/mountinfo && exec \"$@\"")
        argv = ["unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-ec", script, "sh",
                self.posing.trusted, "ask", w.socket, self.posing.id("victim")]
        done = w.scene.run(argv, uid=UID + 1)
        if done.returncode and "unshare" in done.stderr:
            self.skipTest("unprivileged user namespaces are off here")
        self.assertEqual(done.stdout[:1], "R", done.stderr)


@unittest.skipUnless(IS_ROOT, "needs root, to make cgroups")
class Lineage(InCgroups):
    """An entry names a unit's main process: what comes from that one is not it."""
    ROUNDS = 10
    COMERS = ["child", "kin", "open-orphan", "fork", "grand", "exec", "open-fork", "open-exec", "anew"]

    @classmethod
    def prepare(cls):
        w, cls.made, cls.n = cls.world, [], 0
        w.start()
        cls.posing = Posing(w)
        cls.posing.trusted, cls.posing.pose = w.tool("trusted", PROGRAMS), w.tool("pose", PROGRAMS)

    def unit(self):
        """A new unit with an entry for its main process."""
        type(self).n += 1
        name = f"writ-main-{UID}-{self.n}.service"
        self.world.entry(f"main/{self.n}", f"systemd:id:{name}", f"unix:path:{self.posing.trusted}", "proc:main:true")
        return self.make(hierarchies()[0], f"system.slice/{name}")

    def start_main(self, *argv):
        p = self.posing
        argv = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", p.trusted, *argv]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20, check=False,
                              preexec_fn=join(self.unit()), cwd="/", env={"POSE_SOCKET": str(self.world.socket)})
        return done.stdout[:1]

    def wanted(self):
        return self.posing.id(f"main/{self.n + 1}")

    def test_the_main_process_is_served(self):
        for _ in range(self.ROUNDS):
            self.assertEqual(self.start_main("ask", self.world.socket, self.wanted()), "S")

    def test_who_comes_from_it_is_not(self):
        for how in self.COMERS:
            for _ in range(self.ROUNDS):
                with self.subTest(how):
                    self.assertEqual(self.start_main(how, self.world.socket, self.wanted(), self.posing.pose, 1), "R")


@unittest.skipUnless(IS_ROOT and not IN_CONTAINER, "needs root and the machine's own namespaces")
class ForeignAgent(Case):
    """A17: an agent that would see other processes than the machine's does not start, and says what to change."""
    PLACES = [
        (["--pid", "--fork", "--kill-child", "--mount-proc"], "a PID namespace of its own", "docker: --pid=host"),
        (["--pid", "--fork", "--kill-child"], "the proc file system of another PID namespace", "docker: --pid=host"),
        (["--user", "--map-root-user"], "a user namespace of its own", "docker: --userns=host"),
        (["--cgroup"], "a cgroup namespace of its own", "docker: --cgroupns=host"),
    ]

    agent_extra = 'run { allow = [ { uid = 0, prefix = "/agents" } ] }'

    @classmethod
    def prepare(cls):
        cls.world.start(agent=False)

    def run_in(self, flags):
        return self.world.scene.run(["unshare", *flags, BIN / "writ-agent", "run", "-config", self.world.agent.conf])

    def test_it_does_not_start(self):
        for flags, what, remedy in self.PLACES:
            with self.subTest(flags):
                done = self.run_in(flags)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(what, done.stderr)
                self.assertIn(remedy, done.stderr)
                self.assertNotIn("run.", done.stderr)  # nothing was touched before: no cgroups either

    def test_another_machines_proc_is_refused_even_if_it_may_be_in_a_container(self):
        conf = self.world.agent.conf
        before = conf.read_text()
        try:
            conf.write_text(before.replace("allow_foreign_namespaces = false", "allow_foreign_namespaces = true"))
            done = self.run_in(["--pid", "--fork", "--kill-child"])
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("every caller would be mistaken", done.stderr)
        finally:
            conf.write_text(before)


main()
