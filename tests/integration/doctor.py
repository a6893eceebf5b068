# SPDX-License-Identifier: Apache-2.0
"""writ doctor: with everything in order, with one thing after the other missing, and with nothing there at all."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import unittest

from kit.proc import BIN, IS_ROOT, wait_for
from kit.world import MINE, TD, Case, main, other_uid

GROUPS = ["programs and configuration", "kernel", "agent", "server", "workload api, for this process"]


class Doctor(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        w.entry("operator", f"unix:uid:{MINE}")
        cls.tool = w.dir / "writ"
        shutil.copy(BIN / "writ", cls.tool)
        cls.tool.chmod(0o755)
        cls.env = {"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock"),
                   "WRIT_SERVER_SOCKET": str(w.admin_socket), **w.endpoint}

    def doctor(self, *argv, program=None, env=None, **more):
        """The exit code, and the findings as {(group, status): [(text, fix)]}."""
        done = self.world.scene.run([program or BIN / "writ", "doctor", "-o", "json", *argv], env=env or self.env, **more)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        answer = json.loads(done.stdout)
        found = {}
        for c in answer["checks"]:
            found.setdefault((c["group"], c["status"]), []).append((c["text"], c["fix"]))
        for status, key in (("ok", "ok"), ("warn", "warnings"), ("FAIL", "failures")):
            self.assertEqual(sum(len(v) for k, v in found.items() if k[1] == status), answer[key])
        self.assertEqual(done.returncode, 1 if answer["failures"] else 0)
        return done.returncode, found

    def failures(self, found, *but):
        return [(k[0], v) for k, v in found.items() if k[1] == "FAIL" and k[0] not in but]

    def test_all_in_order(self):
        code, found = wait_for(lambda: (lambda r: r if r[0] == 0 else None)(self.doctor("-config", self.world.agent.conf, "-config",
                               self.world.server.conf)), 10, "a healthy machine")
        self.assertEqual(code, 0)
        self.assertEqual([g for g in GROUPS if any(k == (g, "ok") for k in found)], GROUPS)
        texts = " ".join(t for v in found.values() for t, _ in v)
        for word in (f"spiffe://{TD}/operator", f"{self.world.agent.conf} is valid for writ-agent",
                     f"{self.world.server.conf} is valid for writ-server", "the server on this machine is healthy",
                     f"the agent is connected to 127.0.0.1:{self.world.port}", "it sees which program this process runs"):
            self.assertIn(word, texts)
        self.assertRegex(texts, r"the bundle has 1 CA, the last one ends in (24h|23h\d+m)")  # 24h: in its first second

    def test_the_datastore(self):
        conf = self.world.dir / "store.conf"
        own = self.world.dir / "own.db"
        text = self.world.server.conf.read_text()
        conf.write_text(text.replace('database_type = "sqlite3"', f'database_type = "sqlite3" connection_string = "{own}"'))
        self.assertNotEqual(conf.read_text(), text)

        def look(path=conf, **more):
            code, found = self.doctor("-config", path, **more)
            [(status, said, fix)] = [(k[1], t, f) for k, v in found.items() for t, f in v if "datastore" in t]
            self.assertEqual(code, 1 if status == "FAIL" else 0, found)
            return status, said, fix
        # The server runs, and has locked its own.
        status, said, fix = look(self.world.server.conf)
        self.assertEqual((status, fix), ("ok", ""))
        self.assertRegex(said, r"^datastore /\S+ is sound: 0\.\d MB, [1-9]\d* entr(y|ies), schema version 1$")
        self.assertEqual(look()[0], "warn")
        own.write_bytes(b"this is not a database" * 100)
        status, said, fix = look()
        self.assertEqual((status, said), ("FAIL", f"datastore {own}: this is not a database"))
        self.assertIn("BACKUPS in writ-server(8)", fix)
        with sqlite3.connect(own.with_name("new.db")) as db:
            db.executescript("CREATE TABLE schema (version INTEGER); INSERT INTO schema VALUES (9)")
        db.close()
        own.with_name("new.db").rename(own)
        status, said, fix = look()
        self.assertEqual(status, "FAIL")
        self.assertIn(f"{own}: the database has schema version 9, this program", said)
        self.assertIn("the writ-server that fits it", fix)
        conf.write_text("server { }")
        code, found = self.doctor("-config", conf)
        self.assertEqual(found[("server", "none")], [(f"{conf} cannot be used: where the datastore is, is not known", "")])

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_the_datastore_is_not_for_another_user(self):
        conf = self.world.dir / "readable.conf"
        shutil.copy(self.world.server.conf, conf)
        conf.chmod(0o644)
        server = self.world.dir / "writ-server"
        shutil.copy(BIN / "writ-server", server)
        server.chmod(0o755)
        _, found = self.doctor("-config", conf, program=self.tool, uid=other_uid(3))
        [(said, fix)] = [v for v in found[("server", "none")] if "datastore" in v[0]]
        self.assertIn("Permission denied", said)
        self.assertEqual(fix, "run writ doctor as root")

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_root_looks_at_the_datastore_as_its_owner(self):
        folder, conf = self.world.dir / "of-another", self.world.dir / "of-another.conf"
        folder.mkdir(mode=0o700)
        conf.write_text(self.world.server.conf.read_text().replace('database_type = "sqlite3"',
                                                                   f'database_type = "sqlite3" connection_string = "{folder}/x.db"'))
        (folder / "x.db").write_bytes(b"x" * 4096)
        os.chown(folder / "x.db", other_uid(3), other_uid(3))
        for owner, code, text in ((0, 4, "open it: Permission denied"), (other_uid(3), 1, "this is not a database")):
            os.chown(folder, owner, owner)
            done = subprocess.run([BIN / "writ-server", "check-store", "-config", conf], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, f"{folder}/x.db: {text}\n"), done.stderr)

    def test_the_clocks_of_both_machines(self):
        w = self.world
        shim = BIN.parent / "tests" / "libskewed_clock.so"
        if not shim.exists():
            self.skipTest(f"needs {shim}")
        _, found = self.doctor()
        self.assertIn("agrees with the server's, to 0.", " ".join(t for t, _ in found[("server", "ok")]))
        for skew, text in ((-8, r"the clock of this machine is (7\.9|8\.\d) s behind the server's: what was issued a moment ago is "
                                r"not valid here yet, from 10 s on"),
                           (8, r"the clock of this machine is (7\.\d|8\.0) s ahead of the server's: certificates end here so much "
                               r"too early, those that live shorter on arrival")):
            with self.subTest(skew):
                w.agent.run.stop()
                w.agent.start(env={"LD_PRELOAD": str(shim), "WRIT_TEST_SKEW_S": str(skew),
                                   "ASAN_OPTIONS": "verify_asan_link_order=0"})
                _, found = self.doctor()
                said = found[("server", "warn")]
                self.assertRegex(said[0][0], f"^{text}$")
                self.assertIn("timedatectl set-ntp true", said[0][1])
                self.assertIn("clock.differs", w.agent.run.err)
        w.agent.run.stop()
        w.agent.start()

    def test_the_text_says_the_same(self):
        done = self.world.scene.run([BIN / "writ", "doctor"], env=self.env)
        lines = done.stdout.splitlines()
        self.assertEqual([line for line in lines if line in GROUPS], GROUPS)
        self.assertRegex(lines[-1], r"^\d+ ok, \d+ warnings?, \d+ failures?$")
        for line in lines:
            self.assertTrue(line in GROUPS or line is lines[-1] or line.startswith(("  ok    ", "  warn  ", "  FAIL  ", "  -     ",
                                                                                    "        fix: ")), line)

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_another_user_is_told_what_is_his(self):
        code, found = self.doctor(program=self.tool, uid=other_uid(3))
        self.assertEqual(code, 0, found)
        self.assertIn("for operators", found[("agent", "none")][0][0])
        self.assertNotIn(("agent", "ok"), found)
        self.assertIn("matches no entry", found[(GROUPS[4], "warn")][0][0])

    @unittest.skipUnless(IS_ROOT, "makes namespaces")
    def test_what_the_agent_sees_of_a_process_in_a_namespace_of_its_own(self):
        def sight(*unshare):
            done = subprocess.run(["unshare", *unshare, BIN / "writ", "doctor", "-o", "json"], capture_output=True, text=True, timeout=30,
                                  check=False, env={**os.environ, **self.env})
            return [(c["status"], c["text"]) for c in json.loads(done.stdout)["checks"] if "program this process runs" in c["text"]]
        [(status, text)] = sight("-m")
        self.assertEqual(status, "warn")
        self.assertIn("another mount namespace", text)
        # It has a number there that is another process's for the agent, or nobody's.
        [(status, text)] = sight("-p", "-f", "--mount-proc")
        self.assertEqual(status, "none")
        self.assertIn("is another process for the agent", text)

    def test_configurations_that_are_wrong(self):
        for name, text in (("bad-agent.conf", 'agent { join_token = "s3cr3t" nonsense = 1 }\n'), ("bad.conf", "{{{ s3cr3t")):
            path = self.world.dir / name
            path.write_text(text)
            code, found = self.doctor("-config", path)
            self.assertEqual(code, 1)
            [(said, fix)] = found[(GROUPS[0], "FAIL")]
            self.assertIn(str(path), said)
            self.assertRegex(fix, r"^writ-(agent|server) validate -config ")
            self.assertNotIn("s3cr3t", json.dumps([v for v in found.values()]))
        code, found = self.doctor("-config", self.world.dir / "absent.conf")
        self.assertEqual(code, 1)

    @unittest.skipUnless(IS_ROOT, "has an /etc of its own")
    def test_the_gates_of_this_machine_are_checked(self):
        gate = 'gate { listen = "127.0.0.1:8443" target = "127.0.0.1:80" allow = ["spiffe://example.org/x"] }'
        own = ("t=$(mktemp -d) && cp /etc/passwd /etc/group /etc/ld.so.cache $t && mount -t tmpfs none /etc && cp $t/* /etc && rm -r $t && "
               f"mkdir /etc/writ && echo '{gate}' >/etc/writ/gate-a.conf && echo 'gate {{ }}' >/etc/writ/gate-b.conf && exec \"$@\"")
        done = subprocess.run(["unshare", "-m", "sh", "-c", own, "sh", BIN / "writ", "doctor", "-o", "json"], capture_output=True,
                              text=True, timeout=30, check=False, env={**os.environ, **self.env})
        said = {c["text"]: c["status"] for c in json.loads(done.stdout)["checks"]}
        self.assertEqual(said["/etc/writ/gate-a.conf is valid for writ-gate"], "ok")
        self.assertEqual(said["/etc/writ/gate-b.conf is not valid for writ-gate"], "FAIL")
        fixes = {c["text"]: c["fix"] for c in json.loads(done.stdout)["checks"] if c["group"] == "gates"}
        self.assertIn("systemctl start writ-gate@a;", fixes["/etc/writ/gate-a.conf: the gate at 127.0.0.1:8443 cannot be reached: "
                                                            "Connection refused"])
        self.assertEqual(said["/etc/writ/gate-b.conf is not valid: where its gate listens is not known"], "none")

    def test_both_ends_of_a_gate_are_reached(self):
        path = self.world.dir / "gate-x.conf"
        with socket.create_server(("127.0.0.1", 0)) as gate, socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            here, nowhere = (f"127.0.0.1:{s.getsockname()[1]}" for s in (gate, closed))
            tool = socket.socket(socket.AF_UNIX)
            tool.bind(str(self.world.dir / "tool.sock"))
            tool.listen()
            unix, no_unix = f"unix:{self.world.dir}/tool.sock", f"unix:{self.world.dir}/absent.sock"
            for listen, target, want in (
                    (here, here, [("ok", f"something listens at {here}"), ("ok", f"its target {here} can be reached")]),
                    (here, unix, [("ok", f"something listens at {here}"), ("ok", f"its target {unix} can be reached")]),
                    (nowhere, nowhere, [("FAIL", f"the gate at {nowhere} cannot be reached: Connection refused"),
                                        ("FAIL", f"its target {nowhere} cannot be reached: Connection refused")]),
                    (here, no_unix, [("ok", f"something listens at {here}"),
                                     ("FAIL", f"its target {no_unix} cannot be reached: No such file or directory")]),
                    ("127.0.0.1:0", here, [("none", "127.0.0.1:0 is any free port, so nobody knows where to look"),
                                           ("ok", f"its target {here} can be reached")])):
                with self.subTest((listen, target)):
                    path.write_text(f'gate {{ listen = "{listen}" target = "{target}" allow = ["spiffe://{TD}/x"] }}')
                    code, found = self.doctor("-config", path)
                    said = sorted((k[1], text, fix) for k, v in found.items() if k[0] == "gates" for text, fix in v)
                    self.assertEqual([s[:2] for s in said], sorted((status, f"{path}: {text}") for status, text in want))
                    self.assertEqual(code, 1 if any(s[0] == "FAIL" for s in said) else 0)
                    for status, text, fix in said:
                        self.assertEqual(bool(fix), status == "FAIL", text)
            tool.close()
        _, found = self.doctor("-config", self.world.server.conf)
        self.assertFalse([k for k in found if k[0] == "gates"])

    def test_a_socket_that_is_written_wrong_or_not_there(self):
        for value, word in (("unix://tmp/x", "unix:///tmp/x"), (f"unix://{self.world.dir}/absent.sock", "absent.sock")):
            code, found = self.doctor(env={**self.env, "SPIFFE_ENDPOINT_SOCKET": value})
            self.assertEqual(code, 1)
            self.assertIn(word, found[(GROUPS[4], "FAIL")][0][0])

    @unittest.skipUnless(IS_ROOT, "hides folders in a mount namespace")
    def test_without_any_daemon(self):
        hide = "mount -t tmpfs none /run && if [ -d /etc/writ ]; then mount -t tmpfs none /etc/writ; fi && exec \"$@\""
        done = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", BIN / "writ", "doctor", "-o", "json"], capture_output=True,
                              text=True, timeout=30, check=False, env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = [c["text"] for c in json.loads(done.stdout)["checks"] if c["status"] == "none"]
        for word in ("no agent on this machine", "no server on this machine", "no /run/writ/agent/public/api.sock"):
            self.assertTrue(any(word in s for s in said), (word, said))


class NotJoined(Case):
    """An agent that the server does not let in."""

    @classmethod
    def prepare(cls):
        w = cls.world.start(agent=False)
        key, cert = w.dir / "absent.key", w.dir / "absent.pem"
        conf = w.agent.conf.read_text()
        w.agent.conf.write_text(conf.replace('NodeAttestor "join_token" { plugin_data {} }', 'NodeAttestor "x509pop" { plugin_data { '
                                             f'private_key_path = "{key}" certificate_path = "{cert}" }} }}'))
        w.agent.start(ready=False)

    def test_it_says_so_and_sends_nobody_to_what_runs(self):
        w = self.world
        env = {"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock"), "WRIT_SERVER_SOCKET": str(w.admin_socket), **w.endpoint}

        def look():
            done = w.scene.run([BIN / "writ", "doctor", "-o", "json"], env=env)
            found = [(c["text"], c["fix"]) for c in json.loads(done.stdout)["checks"] if c["status"] == "FAIL"]
            return found if any("has not joined" in text for text, _ in found) else None
        found = dict(wait_for(look, 10, "the agent is up"))
        self.assertIn("journalctl -u writ-agent", found["the agent has not joined"])
        self.assertIn("lines above", found["SPIFFE_ENDPOINT_SOCKET: it answers, but is not serving"])


class Broken(Case):
    """A server that goes, then an agent that goes."""

    def test_one_after_the_other(self):
        w = self.world
        env = {"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock"), "WRIT_SERVER_SOCKET": str(w.admin_socket), **w.endpoint}

        def failures():
            done = w.scene.run([BIN / "writ", "doctor", "-o", "json", "-timeout", "2s"], env=env)
            return done.returncode, {c["group"]: (c["text"], c["fix"]) for c in json.loads(done.stdout)["checks"]
                                     if c["status"] == "FAIL"}
        self.assertEqual(failures(), (0, {}))
        [attestor] = w.agent.run.children()["writ-attestor"]
        os.kill(attestor, signal.SIGSTOP)
        code, found = failures()
        os.kill(attestor, signal.SIGCONT)
        self.assertEqual(code, 1)
        self.assertIn("(writ-attestor) does not answer", found["agent"][0])
        self.assertEqual(found["agent"][1], "systemctl restart writ-agent")
        w.server.run.stop()

        def cut():
            code, found = failures()
            return found if code == 1 and "server" in found else None
        found = wait_for(cut, 10, "the doctor sees that the server is gone")
        self.assertIn("systemctl", found["server"][1])
        w.agent.run.stop()
        code, found = failures()
        self.assertEqual(code, 1)
        self.assertEqual(set(found), {"agent", "server", GROUPS[4]})
        self.assertIn("systemctl start writ-agent", found["agent"][1])


if __name__ == "__main__":
    main()
