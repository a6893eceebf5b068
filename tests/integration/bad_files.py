# SPDX-License-Identifier: Apache-2.0
"""Paths that others have prepared: loose modes, foreign owners, links and pipes where our files and sockets belong. The start is
refused with a text that names the path, and nothing outside is touched."""
import os
import stat
import unittest
from pathlib import Path

from kit.net import free_port, self_made
from kit.proc import BIN, IS_ROOT, Scene, wait_for
from kit.world import AGENT_CONF, SERVER_CONF, TD, Daemon, World, main

PRECIOUS = "precious\n"
FOREIGN = 54321
# What stands at the path instead of a file of ours.
KINDS = ("symlink", "dangling symlink", "hardlink", "fifo", "folder")


class BadFiles(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.dir = self.scene.dir
        self.outside = self.dir / "outside"
        self.outside.write_text(PRECIOUS)
        self.outside.chmod(0o600)
        self.n = 0
        self.bundle, _ = self_made(self.dir, "ca", f"spiffe://{TD}", ca=True)

    def tearDown(self):
        self.scene.close()

    def plant(self, kind, path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if kind == "symlink":
            path.symlink_to(self.outside)
        elif kind == "dangling symlink":
            path.symlink_to(self.dir / f"made-{self.n}")
        elif kind == "hardlink":
            os.link(self.outside, path)
        elif kind == "fifo":
            os.mkfifo(path, 0o600)
        elif kind == "folder":
            path.mkdir()
        return path

    def daemon(self, program):
        self.n += 1
        base = self.dir / f"w{self.n}"
        base.mkdir(mode=0o700)
        if program == "server":
            d = Daemon(self.scene, f"server{self.n}", "writ-server", SERVER_CONF, port=free_port(), socket=base / "run" / "api.sock",
                       audit=base / "audit.log", extra=f'log_file = "{base}/log"')
        else:
            d = Daemon(self.scene, f"agent{self.n}", "writ-agent", AGENT_CONF, server_port=1, socket=base / "run" / "api.sock",
                       admin=base / "admin" / "admin.sock", bundle=self.bundle, extra=f'log_file = "{base}/log"')
        return d, base

    def refused(self, d, path):
        run = d.start(ready=False)
        code = run.wait_end(15)
        log = self.dir / f"w{self.n}" / "log"
        said = run.err + (log.read_text() if log.is_file() else "")
        self.assertNotEqual(code, 0)
        self.assertIn(str(path), said)
        self.assertEqual(self.outside.read_text(), PRECIOUS)
        self.assertEqual(stat.S_IMODE(self.outside.stat().st_mode), 0o600)
        self.assertFalse((self.dir / f"made-{self.n}").exists(), "made through a link")

    def places(self, d, base):
        if d.program == "writ-server":
            return [d.data / "datastore.sqlite3", d.data / "issued.jsonl", d.data / "lock", d.data / "keys", d.data, base / "run" / "api.sock",
                    base / "audit.log"]
        return [d.data / "agent-state.json", d.data, base / "run" / "api.sock"]

    def test_links_pipes_and_folders_are_refused(self):
        for program, count in (("server", 7), ("agent", 3)):
            for i in range(count):
                for kind in KINDS:
                    d, base = self.daemon(program)
                    place = self.places(d, base)[i]
                    if kind == "folder" and place.name in ("keys", d.data.name):
                        continue
                    with self.subTest(program=program, place=place.name, kind=kind):
                        if place != d.data:
                            d.data.mkdir(mode=0o700)
                        self.plant(kind, place)
                        self.refused(d, place)

    def test_loose_files_are_refused(self):
        for program, name in (("server", "datastore.sqlite3"), ("server", "issued.jsonl"), ("server", "keys/00aa.pem"),
                              ("agent", "agent-state.json")):
            for mode in (0o644, 0o660, 0o666):
                with self.subTest(program=program, name=name, mode=oct(mode)):
                    d, base = self.daemon(program)
                    path = d.data / name
                    d.data.mkdir(mode=0o700)
                    path.parent.mkdir(mode=0o700, exist_ok=True)
                    path.touch()
                    path.chmod(mode)
                    self.refused(d, path)

    @unittest.skipUnless(IS_ROOT, "needs root, to give files away")
    def test_foreign_files_and_folders_are_refused(self):
        for program, name in (("server", ""), ("server", "datastore.sqlite3"), ("server", "issued.jsonl"), ("server", "keys"),
                              ("agent", ""), ("agent", "agent-state.json")):
            with self.subTest(program=program, name=name):
                d, base = self.daemon(program)
                path = d.data / name
                d.data.mkdir(mode=0o700)
                if name == "keys":
                    path.mkdir(mode=0o700)
                elif name:
                    path.touch(0o600)
                os.chown(path, FOREIGN, FOREIGN)
                self.refused(d, path)

    def test_folder_that_others_can_write_is_refused(self):
        for program in ("server", "agent"):
            for mode in (0o777, 0o770, 0o707, 0o1777):
                with self.subTest(program=program, mode=oct(mode)):
                    d, _ = self.daemon(program)
                    d.data.mkdir()
                    d.data.chmod(mode)
                    self.refused(d, d.data)

    def test_folder_of_ours_that_others_can_read_is_closed(self):
        d, _ = self.daemon("server")
        d.data.mkdir()
        d.data.chmod(0o755)
        d.start(umask=0)
        self.assertEqual(stat.S_IMODE(d.data.stat().st_mode), 0o700)
        self.assertIn("folder.closed", (self.dir / f"w{self.n}" / "log").read_text())

    def test_socket_of_another_that_lives_is_left_alone(self):
        first, base = self.daemon("server")
        first.start()
        second, _ = self.daemon("server")
        second.conf.write_text(second.conf.read_text().replace(str(self.dir / f"w{self.n}" / "run"), str(base / "run")))
        before = (base / "run" / "api.sock").stat().st_ino
        self.refused(second, base / "run" / "api.sock")
        self.assertEqual((base / "run" / "api.sock").stat().st_ino, before)
        done = self.scene.run([BIN / "writ", "healthcheck", "-socketPath", base / "run" / "api.sock"])
        self.assertEqual(done.returncode, 0, done.stderr)


class LiveAgent(unittest.TestCase):
    def test_socket_of_a_live_agent_is_left_alone(self):
        world = World()
        try:
            world.start()
            before = world.socket.stat().st_ino
            again = Daemon(world.scene, "agent2", "writ-agent", AGENT_CONF, server_port=world.port, socket=world.socket,
                           admin=world.dir / "agent2" / "admin.sock", bundle=world.bundle)
            run = again.start(ready=False)
            self.assertNotEqual(run.wait_end(10), 0)
            self.assertIn(f"'{world.socket}' is in use by another process", run.err)
            self.assertEqual(world.socket.stat().st_ino, before)
            wait_for(world.agent.is_ready, 5, "the first agent goes on")
        finally:
            world.close()


if __name__ == "__main__":
    main()
