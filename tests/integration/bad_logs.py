# SPDX-License-Identifier: Apache-2.0
"""What peers can make our logs say: one event is one line, without control bytes, and a flood of events is not a flood of lines."""
import base64
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from kit.api import AGENT, ENTRY, SVID, WORKLOAD, Api, b64, id_of, selectors_of
from kit.csr import EcKey, der, request, san, uri
from kit.net import Target, self_made, tls_get
from kit.proc import BIN, IS_ROOT
from kit.world import MINE, NODE, TD, Case, main, other_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bars"))
import h2  # noqa: E402

LONG = "x" * 65000
# Line breaks, colours, a terminal's title, a NUL, C1 controls, a bidirectional override, half a character.
EVIL = ["a\nlevel=error msg=forged", "\r\n{\"level\":\"error\",\"msg\":\"forged\"}", "\x1b[2J\x1b]0;title\x07", "a\0b", "\x7f\x08",
        "\u0085\u009b31m", "\u202egnp", "\"}\n{\"msg\":\"forged", LONG]
LINES_PER_S = 100
LINE_MAX = 128 * 1024  # of an audit record; what is longer is refused with its call


class BadLogs(Case):
    server_extra = 'ratelimit { attestation = false signing = false }\n'

    @classmethod
    def prepare(cls):
        w = cls.world.start()
        w.entry("me", f"unix:uid:{MINE}")
        w.entry("gate", f"unix:uid:{MINE}", f"unix:path:{os.path.realpath(BIN / 'writ-gate')}")
        cls.target = Target()
        cls.gate, cls.gate_port = w.gate(cls.target.port, f"spiffe://{TD}/me", flags=["-svid", f"spiffe://{TD}/gate"])
        cls.api = api = Api()
        cls.tcp = f"127.0.0.1:{w.port}"
        api.connect("local", f"unix://{w.admin_socket}")
        api.connect("any", cls.tcp)
        api.connect("workload", f"unix://{w.socket}")

    @classmethod
    def tearDownClass(cls):
        cls.target.close()
        cls.api.close()
        super().tearDownClass()

    def logs(self):
        w = self.world
        return {"server": w.server.run.err_path, "agent": w.agent.run.err_path, "gate": self.gate.err_path, "audit": w.audit}

    def check(self, is_json=("server", "agent", "audit")):
        for name, path in self.logs().items():
            text = path.read_bytes()
            for line in text.split(b"\n"):
                self.assertFalse([b for b in line if b < 0x20 or b == 0x7F], f"{name}: {line[:300]}")
                shown = line.decode("utf-8")
                self.assertFalse([c for c in shown if 0x80 <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E
                                  or 0x2066 <= ord(c) <= 0x2069], f"{name}: {line[:300]}")
                self.assertLess(len(line), LINE_MAX, name)
                if name in is_json and line:
                    record = json.loads(shown)
                    self.assertNotEqual(record["msg"], "forged")
                self.assertFalse(line.startswith(b"level=error msg=forged"), name)

    def test_server_and_audit(self):
        api, key = self.api, EcKey(self.world.dir)
        good = {"parent_id": id_of(NODE), "spiffe_id": id_of(f"spiffe://{TD}/x"), "selectors": selectors_of("unix:uid:1")}
        for evil in EVIL:
            for bad in ({"spiffe_id": {"trust_domain": TD, "path": "/" + evil}}, {"spiffe_id": {"trust_domain": evil, "path": "/x"}},
                        {"parent_id": {"trust_domain": TD, "path": "/" + evil}}, {"selectors": [{"type": evil, "value": "x"}]},
                        {"selectors": [{"type": "unix", "value": evil}]}, {"dns_names": [evil]}, {"hint": evil}, {"id": evil}):
                api.call("local", ENTRY + "BatchCreateEntry", {"entries": [{**good, **bad}]})
            api.call("local", ENTRY + "GetEntry", {"id": evil})
            api.call("local", ENTRY + "BatchDeleteEntry", {"ids": [evil]})
            api.call("local", ENTRY + "ListEntries", {"page_token": evil, "page_size": 1, "filter": {"by_hint": evil}})
            for method in ("GetAgent", "BanAgent", "DeleteAgent"):
                api.call("local", AGENT + method, {"id": {"trust_domain": TD, "path": "/spire/agent/" + evil}})
            api.call("local", AGENT + "CreateJoinToken", {"ttl": 60, "token": evil, "agent_id": {"trust_domain": TD, "path": evil}})
            for kind, payload in ((evil, b"x"), ("join_token", evil.encode())):
                api.call("any", AGENT + "AttestAgent", {"params": {"data": {"type": kind, "payload": b64(payload)},
                                                                   "params": {"csr": b64(b"x")}}})
            api.call("local", SVID + "MintX509SVID", {"csr": b64(request(key, san(uri(f"spiffe://{TD}/{evil}")))[:65000])})
            api.call("local", SVID + "MintX509SVID", {"csr": b64(request(key, san(uri(f"spiffe://{TD}/s")), subject=der(
                0x30, der(0x31, der(0x30, der(6, b"\x55\4\3"), der(0x0C, evil.encode()))))))})
        self.check()

    def raw_call(self, path, fields):
        s = h2.connect(str(path))
        try:
            s.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) +
                      h2.frame(h2.HEADERS, 4, 1, b"".join(b"\0" + self.text(n) + self.text(v) for n, v in fields)) +
                      h2.frame(h2.DATA, 1, 1, b"\0\0\0\0\0"))
            s.settimeout(0.2)
            s.recv(65536)
        except OSError:
            pass
        finally:
            s.close()

    @staticmethod
    def text(t):
        """A string of HPACK (RFC 7541 5.2), its length in a prefix of 7 bits."""
        n, head = len(t), b""
        if n >= 127:
            n, head = n - 127, b"\x7f"
            while n >= 128:
                head, n = head + bytes((n & 127 | 128,)), n >> 7
        return head + bytes((n,)) + t

    def test_headers_of_a_call(self):
        base = [(b":method", b"POST"), (b":scheme", b"http"), (b"content-type", b"application/grpc"), (b"te", b"trailers"),
                (b"workload.spiffe.io", b"true")]
        for evil in EVIL:
            text = evil.encode()[:14000]
            for path in (self.world.admin_socket, self.world.socket):
                self.raw_call(path, [*base, (b":path", b"/SpiffeWorkloadAPI/" + text), (b":authority", b"localhost")])
                self.raw_call(path, [*base, (b":path", b"/SpiffeWorkloadAPI/FetchX509SVID"), (b":authority", text)])
                self.raw_call(path, [*base, (b":path", b"/spire.api.server.entry.v1.Entry/CountEntries"), (b":authority", b"x"),
                                     (b"user-agent", text), (b"x-request-id", text), (b"grpc-timeout", text)])
        self.check()

    def test_path_of_a_workload(self):
        if not IS_ROOT:
            self.skipTest("needs root, to be another user")
        for i, evil in enumerate(("a\nlevel=error", "\x1b[31mred", "\u202egnp", "half\udcff", "x" * 240)):
            folder = self.world.dir / f"evil{i}"
            folder.mkdir()
            program = os.path.join(os.fsencode(folder), os.fsencode(evil))
            shutil.copy(self.world.tool("spiffe-client"), program)
            os.chmod(program, 0o755)
            done = subprocess.run([program, b"fetch", b"-timeout", b"1s"], env={**os.environ, **self.world.endpoint}, check=False,
                           user=other_uid(7), group=other_uid(7), extra_groups=[], capture_output=True, timeout=10)
            self.assertIn(b"no identity", done.stderr)
        self.assertIn(b"evil2", self.world.agent.run.err_path.read_bytes(), "the caller's path is logged")
        self.check()

    def test_gate(self):
        d = self.world.dir
        for i, name in enumerate((f"spiffe://{TD}/a%0Ab", "spiffe://" + "x" * 3000 + "/y")):
            tls_get(self.gate_port, *self_made(d, f"evil{i}", name))
        ctx = ssl.create_default_context()
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        for junk in (b"GET /\nlevel=error msg=forged HTTP/1.1\r\n\r\n", b"\x1b[31m" * 100, bytes(range(256)) * 40):
            with socket.create_connection(("127.0.0.1", self.gate_port), 5) as s:
                s.sendall(junk)
                try:
                    s.settimeout(1)
                    s.recv(100)
                except OSError:
                    pass
        self.check()

    def test_flood_of_refusals_is_not_a_flood_of_lines(self):
        before = {name: path.read_bytes().count(b"\n") for name, path in self.logs().items()}
        start, n = time.monotonic(), 0
        while time.monotonic() - start < 3:
            for _ in range(10):
                self.api.ask(op="raw", conn="workload", method=WORKLOAD + "FetchX509SVID", body="")
                for family, address in ((socket.AF_UNIX, str(self.world.socket)),
                                        (socket.AF_INET, ("127.0.0.1", self.gate_port)),
                                        (socket.AF_INET, ("127.0.0.1", self.world.port))):
                    with socket.socket(family) as s, contextlib.suppress(OSError):
                        s.connect(address)
                        s.sendall(b"junk" * 10)
                n += 1
        took = time.monotonic() - start
        self.assertGreater(n, 3 * LINES_PER_S)
        for name, path in self.logs().items():
            if name != "audit":
                # What may come at once, and the rate.
                lines = path.read_bytes().count(b"\n") - before[name]
                self.assertLess(lines, LINES_PER_S * (took + 1), name)
        self.check()

    def test_zz_no_secret_in_any_log(self):
        got = self.api.must(op="call", conn="workload", method=WORKLOAD + "FetchX509SVID", meta={"workload.spiffe.io": "true"}, max=1)
        key = base64.b64decode(got["responses"][0]["svids"][0]["x509_svid_key"])
        for name, path in self.logs().items():
            text = path.read_bytes()
            for mark in (b"PRIVATE KEY", base64.b64encode(key)[:40], key[36:68].hex().encode()):
                self.assertNotIn(mark, text, name)


if __name__ == "__main__":
    main()
