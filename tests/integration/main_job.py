# SPDX-License-Identifier: Apache-2.0
"""The main job: a kernel-attested process gets its SVID and calls a tool that refuses everybody without one."""
import base64
import re
import time

from kit.api import Api, b64, SVID, id_of
from kit.net import Target, openssl, self_made, tls_get
from kit.proc import BIN, CLIENTS, IS_ROOT, wait_for
from kit.world import MINE, TD, Case, main, other_uid, path_selector

AGENT = f"spiffe://{TD}/agent/research"
TOOL = f"spiffe://{TD}/tool/echo"
PYTHON = f"spiffe://{TD}/agent/python"


class MainJob(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        cls.uid = other_uid(1)
        w.entry("agent/research", f"unix:uid:{cls.uid}", path_selector(w.tool("spiffe-client")))
        w.entry("agent/python", f"unix:uid:{MINE}", path_selector(CLIENTS / "venv" / "bin" / "python"))
        w.entry("tool/echo", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"))
        cls.target = Target()
        cls.gate, cls.gate_port = w.gate(cls.target.port, AGENT, name="gate")

    @classmethod
    def tearDownClass(cls):
        cls.target.close()
        super().tearDownClass()

    def test_go_client_gets_its_svid(self):
        done = self.world.go("fetch", uid=self.uid)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"^{re.escape(AGENT)} [0-9a-f]+ \d+\n$")

    def test_python_client_gets_another_svid(self):
        done = self.world.py("fetch")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"^{re.escape(PYTHON)} [0-9a-f]+ \d+\n$")

    def test_bundles_are_served(self):
        done = self.world.go("bundles", uid=self.uid)
        self.assertRegex(done.stdout, rf"^{re.escape(TD)} [12]\n$", done.stderr)

    def test_unregistered_caller_is_refused_and_told_so(self):
        if not IS_ROOT:
            self.skipTest("needs root, to be another user")
        done = self.world.go("fetch", "-timeout", "2s", uid=other_uid(9))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no identity issued", done.stderr)

    def test_call_through_the_gate(self):
        url = f"https://127.0.0.1:{self.gate_port}/hello"
        done = self.world.go("call", "-url", url, "-expect", TOOL, uid=self.uid)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"200 {TOOL} hello\n\n")

    def test_caller_checks_the_tool(self):
        url = f"https://127.0.0.1:{self.gate_port}/hello"
        done = self.world.go("call", "-url", url, "-expect", f"spiffe://{TD}/tool/other", uid=self.uid)
        self.assertNotEqual(done.returncode, 0)

    def test_mtls_between_go_and_python(self):
        w = self.world
        server = w.scene.start("py-server", w.py_argv("server", AGENT), env=w.endpoint)
        port = server.wait_out(r"listening (\d+)", 20)[1]
        done = w.go("call", "-url", f"https://127.0.0.1:{port}/", "-expect", PYTHON, uid=self.uid)
        self.assertEqual(done.stdout, f"200 {PYTHON} hello, {AGENT}\n\n", done.stderr)
        go = w.scene.start("go-server", [w.tool("spiffe-client"), "server", "-allow", PYTHON], env=w.endpoint,
                           uid=self.uid)
        port = go.wait_out(r"listening (\d+)")[1]
        done = w.py("call", f"127.0.0.1:{port}", AGENT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"hello, {PYTHON}", done.stdout)

    def refused(self, what, cert=None, key=None):
        with self.target.lock:
            before = self.target.connections, self.target.bytes
        answer = tls_get(self.gate_port, cert, key)
        if isinstance(answer, bytes):
            self.assertEqual(answer, b"", f"{what}: the gate let a caller through")
        # Whatever was on its way has arrived when an allowed call that came later has been answered.
        self.test_call_through_the_gate()
        with self.target.lock:
            self.assertEqual(self.target.connections, before[0] + 1, what)

    def mint(self, spiffe_id, ttl):
        """A certificate of the real CA, as files."""
        d = self.world.dir / f"mint-{spiffe_id.rsplit('/', 1)[1]}-{ttl}"
        d.mkdir()
        self.world.writ("x509", "mint", "-spiffeID", spiffe_id, "-ttl", f"{ttl}s", "-write", d)
        return d / "svid.pem", d / "key.pem"

    def test_refused_without_a_certificate(self):
        self.refused("no certificate")

    def test_refused_with_a_certificate_of_another_ca(self):
        ca = self_made(self.world.dir, "other-ca", f"spiffe://{TD}", ca=True)
        self.refused("another CA", *self_made(self.world.dir, "other-leaf", AGENT, issuer=ca))

    def test_refused_with_a_self_made_certificate(self):
        self.refused("self-made", *self_made(self.world.dir, "self", AGENT))

    def test_refused_with_a_valid_certificate_that_is_not_allowed(self):
        self.refused("not allowed", *self.mint(f"spiffe://{TD}/agent/other", 300))

    def test_refused_with_an_expired_certificate(self):
        api = Api()
        api.connect("admin", f"unix://{self.world.admin_socket}")
        csr = api.must(op="key", key="k")["csr"]
        key, cert = self.world.dir / "old.key", self.world.dir / "old.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        conf = self.world.dir / "old.cnf"
        conf.write_text(f"[req]\ndistinguished_name=dn\nprompt=no\nreq_extensions=e\n[dn]\nO=x\n[e]\n"
                        f"subjectAltName=URI:{AGENT}\n")
        csr = openssl("req", "-new", "-key", key, "-config", conf, "-outform", "DER")
        svid = api.result("admin", SVID + "MintX509SVID", {"csr": b64(csr), "ttl": 2})["svid"]
        api.close()
        self.assertEqual(svid["id"], id_of(AGENT))
        cert.write_bytes(openssl("x509", "-inform", "DER", stdin=base64.b64decode(svid["cert_chain"][0])))
        answer = tls_get(self.gate_port, cert, key)
        self.assertIsInstance(answer, bytes, "the certificate must work while it is valid, or the test shows nothing")
        wait_for(lambda: time.time() > int(svid["expires_at"]) + 1, 10, "the certificate has expired")
        self.refused("expired", cert, key)


if __name__ == "__main__":
    main()
