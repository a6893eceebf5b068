# SPDX-License-Identifier: Apache-2.0
"""Keys and tokens are where they belong and nowhere else, even when the umask protects nothing."""
import base64
import os
import re
import signal
import stat
import time
from pathlib import Path

from kit.api import WORKLOAD, Api
from kit.net import Target, http_text
from kit.proc import BIN, wait_for
from kit.world import MINE, TD, Case, main, path_selector

LAX = {"umask": 0, "core": True}
KEY_MARKS = (b"PRIVATE KEY", b"BEGIN EC PARAMETERS")


def needles(secret):
    """The forms in which a secret could be written down."""
    return [secret, base64.b64encode(secret), secret.hex().encode(), secret.hex().upper().encode()]


class KeepSecrets(Case):
    @classmethod
    def prepare(cls):
        w = cls.world
        w.server.start(**LAX)
        w.bundle.write_text(w.writ("bundle", "show"))
        cls.token = w.token()
        # By the command line, where everybody could read it.
        w.agent.start("-joinToken", cls.token, **LAX)
        w.entry("me", f"unix:uid:{MINE}")
        w.entry("tool", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"))
        cls.target = Target()
        cls.gate, cls.port = w.gate(cls.target.port, f"spiffe://{TD}/me", flags=["-svid", f"spiffe://{TD}/tool"], **LAX)
        api = Api()
        api.connect("a", f"unix://{w.socket}")
        got = api.must(op="call", conn="a", method=WORKLOAD + "FetchX509SVID", meta={"workload.spiffe.io": "true"}, max=1)
        cls.keys = [base64.b64decode(s["x509_svid_key"]) for s in got["responses"][0]["svids"]]
        api.close()

    @classmethod
    def tearDownClass(cls):
        cls.target.close()
        super().tearDownClass()

    def processes(self):
        for program in (self.world.server.run, self.world.agent.run, self.gate):
            yield program.pid
            for pids in program.children().values():
                yield from pids

    def logs(self):
        d = self.world.dir
        yield from (p for p in [*d.glob("*.out"), *d.glob("*.err"), *d.glob("*.log")])

    def test_data_folders_are_0700_and_their_files_0600(self):
        for data in (self.world.server.data, self.world.agent.data):
            found = 0
            for folder, folders, files in os.walk(data):
                self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
                for name in files:
                    found += 1
                    path = Path(folder, name)
                    self.assertEqual(stat.S_IMODE(path.lstat().st_mode), 0o600, path)
            self.assertGreater(found, 0, f"nothing in {data}")

    def test_sockets_have_the_modes_that_are_documented(self):
        self.assertEqual(stat.S_IMODE(self.world.socket.stat().st_mode), 0o777)
        self.assertIn(stat.S_IMODE(self.world.admin_socket.stat().st_mode), (0o600, 0o660))

    def test_audit_log_is_private(self):
        self.assertEqual(stat.S_IMODE(self.world.audit.stat().st_mode), 0o600)

    def test_token_is_in_no_log_argv_environment_or_file(self):
        secret = self.token.encode()
        for pid in self.processes():
            for name in ("cmdline", "environ"):
                self.assertNotIn(secret, Path(f"/proc/{pid}/{name}").read_bytes(), f"{name} of {pid}")
        for path in self.logs():
            self.assertNotIn(secret, path.read_bytes(), path)
        for data in (self.world.server.data, self.world.agent.data):
            for path in data.rglob("*"):
                if path.is_file():
                    self.assertNotIn(secret, path.read_bytes(), path)

    def test_token_does_not_name_its_agent(self):
        self.assertNotIn(self.token, self.world.writ("agent", "list"))

    def test_keys_are_in_no_log_argv_environment_or_metric(self):
        # The scalar of a P-256 key stands at bytes 36 to 68 of its PKCS#8 form.
        marks = [n for key in self.keys for n in needles(key) + needles(key[36:68])] + list(KEY_MARKS)
        texts = [(p, p.read_bytes()) for p in self.logs()]
        for pid in self.processes():
            texts += [(f"{n} of {pid}", Path(f"/proc/{pid}/{n}").read_bytes()) for n in ("cmdline", "environ")]
        for d in (self.world.server, self.world.agent):
            texts.append((f"metrics of {d.name}", http_text(f"http://127.0.0.1:{d.metrics}/metrics").encode()))
        for where, text in texts:
            for mark in marks:
                self.assertNotIn(mark, text, where)

    def test_workload_keys_are_in_no_file(self):
        for path in self.world.agent.data.rglob("*"):
            if path.is_file():
                text = path.read_bytes()
                for key in self.keys:
                    for mark in needles(key) + needles(key[36:68]):
                        self.assertNotIn(mark, text, path)

    def test_no_core_file_can_be_written(self):
        for pid in self.processes():
            limits = Path(f"/proc/{pid}/limits").read_text()
            soft, hard = re.search(r"Max core file size +(\S+) +(\S+)", limits).groups()
            self.assertEqual((soft, hard), ("0", "0"), f"process {pid} {Path(f'/proc/{pid}/comm').read_text()}")

    def test_zz_crashes_leave_no_core(self):
        victims = list(self.processes())
        for pid in victims:
            try:
                os.kill(pid, signal.SIGSEGV)
            except ProcessLookupError:
                pass
        wait_for(lambda: not self.gate.is_alive() and not self.world.agent.run.is_alive(), 5, "the programs have crashed")
        time.sleep(0.02)
        left = [p for p in self.world.dir.rglob("core*") if p.is_file()]
        self.assertEqual(left, [])


if __name__ == "__main__":
    main()
