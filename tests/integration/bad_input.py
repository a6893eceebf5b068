# SPDX-License-Identifier: Apache-2.0
"""What peers may send and must not: sizes, broken messages, requests for certificates, keys. Each gets a clear answer, nothing
is stored, nothing is issued, and the server goes on. The long form is bar 11."""
import base64
import json
import re
import struct
import sys
import zlib
from pathlib import Path

from kit.api import AGENT, BUNDLE, ENTRY, SVID, WORKLOAD, Api, b64, id_of, selectors_of
from kit.csr import (BASIC, BITS, OID, P256, SEQ, SET, SUBJECT, USAGE, UTF8, EcKey, RsaKey, der, coprime_primes, ext, request,
                     san, text_of, uri, weak_rsa_keys)
from kit.net import openssl
from kit.world import MINE, NODE, TD, Case, main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bars"))
import h2  # noqa: E402

ME = f"spiffe://{TD}/me"
REQUEST_MAX = 4 << 20
CPU_MAX_S = 0.010
WINDOW_UPDATE = 8


def cpu_s(pid):
    return sum(int((t / "schedstat").read_text().split()[0]) for t in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def rss_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def bad_requests(key, good_uri=ME):
    """Name, request, and whether only MintX509SVID minds (the others take nothing but the key from it)."""
    good = request(key, san(uri(good_uri)))
    empty = der(SEQ)
    yield "no bytes but a tag", b"\x30", False
    yield "an empty sequence", empty, False
    yield "three empty sequences", der(SEQ, empty, empty, empty), False
    yield "cut short", good[:-1], False
    yield "a byte behind it", good + b"\0", False
    yield "itself behind it", good + good, False
    yield "bad signature", request(key, san(uri(good_uri)), signature=key.sign(b"something else")), False
    yield "no signature", request(key, san(uri(good_uri)), signature=b""), False
    yield "signature algorithm of RSA", request(key, san(uri(good_uri)), algorithm=der(
        SEQ, der(OID, bytes.fromhex("2a864886f70d01010b")), b"\x05\x00")), False
    yield "version 1", request(key, san(uri(good_uri)), version=1), False
    yield "subject that is no name", request(key, san(uri(good_uri)), subject=der(SEQ, empty)), False
    yield "subject that is a number", request(key, san(uri(good_uri)), subject=b"\2\1\1"), False
    yield "empty public key", request(key, san(uri(good_uri)), spki=empty), False
    yield "empty attribute", request(key, attributes=[empty]), False
    yield "attribute without values", request(key, attributes=[der(SEQ, der(OID, b"\x2a\x03"), der(SET), b"\0")]), False
    yield "two URI names", request(key, san(uri(good_uri), uri(good_uri + "2"))), False
    yield "two subjectAltNames", request(key, san(uri(good_uri)), san(uri(good_uri))), False
    yield "empty subjectAltName", request(key, san()), False
    yield "empty URI", request(key, san(uri(""))), False
    yield "URI with a NUL", request(key, san(uri(good_uri + "\0"))), False
    yield "URI with a line break", request(key, san(uri(good_uri + "\n"))), False
    yield "asks to be a CA", request(key, san(uri(good_uri)), ext(BASIC, der(SEQ, b"\1\1\xff"), True)), False
    yield "indefinite length", b"\x30\x80" + good[4:] + b"\0\0", False
    yield "length of 2^31", b"\x30\x84\x80\0\0\0" + good[4:], False
    yield "foreign trust domain", request(key, san(uri("spiffe://other.test/x"))), True
    yield "the trust domain itself", request(key, san(uri(f"spiffe://{TD}"))), True
    yield "reserved path", request(key, san(uri(f"spiffe://{TD}/spire/agent/x"))), True
    yield "not SPIFFE", request(key, san(uri("https://example.org/x"))), True
    yield "no name", request(key), True
    yield "dot segment", request(key, san(uri(f"spiffe://{TD}/a/../b"))), True
    yield "DNS name with a space", request(key, san(uri(good_uri), der(0x82, b"a b"))), False
    yield "DNS name of wrong shape", request(key, san(uri(good_uri), der(0x82, b"-x-.example"))), True


def huge_requests(key):
    many = [der(0x82, b"n%d.example" % i) for i in range(10000)]
    yield "10^4 names", request(key, san(uri(ME), *many))
    yield "10^3 extensions", request(key, *[ext(bytes((0x2A, 3, i >> 7 | 0x80, i & 0x7F)), b"\5\0") for i in range(1000)])
    yield "10^3 attributes", request(key, attributes=[der(SEQ, der(OID, b"\x2a\x03"), der(SET, b"\5\0"))] * 1000)
    yield "subject of 60 kB", request(key, san(uri(ME)), subject=der(SEQ, der(SET, der(
        SEQ, der(OID, b"\x55\x04\x03"), der(UTF8, b"x" * 60000)))))
    big = RsaKey(coprime_primes(512, 32, 65537))
    yield "RSA-16384", request(big, san(uri(ME)))
    yield "nesting of 10^4", der_nest(10000)


def der_nest(depth):
    out = b""
    for _ in range(depth):
        out = der(SEQ, out)
    return out


def weak_keys(folder, good):
    for name, key in weak_rsa_keys().items():
        yield name, request(key, san(uri(ME)))
    for curve in ("prime192v1", "secp224r1", "secp256k1", "secp521r1"):
        yield curve, request(EcKey(folder, curve), san(uri(ME)))
    ed = folder / "ed25519.pem"
    openssl("genpkey", "-algorithm", "ED25519", "-out", ed)
    yield "Ed25519", openssl("req", "-new", "-key", ed, "-subj", "/C=UZ", "-outform", "DER")
    point = good.spki[-65:]
    for name, bad in (("off the curve", point[:-1] + bytes((point[-1] ^ 1,))), ("infinity", b"\0"), ("(0, 0)", b"\4" + bytes(64)),
                      ("coordinates of the field's size", b"\4" + b"\xff" * 64), ("compressed", b"\2" + point[1:33]),
                      ("hybrid", bytes((6 | point[-1] & 1,)) + point[1:])):
        yield name, request(good, san(uri(ME)), spki=der(SEQ, P256, der(BITS, b"\0", bad)))


class BadInput(Case):
    server_extra = 'ca_ttl = "1h"\nratelimit { attestation = false signing = false }\n'

    @classmethod
    def prepare(cls):
        w = cls.world.start()
        w.entry("me", f"unix:uid:{MINE}")
        cls.tcp = f"127.0.0.1:{w.port}"
        cls.api = api = Api()
        api.connect("local", f"unix://{w.admin_socket}")
        api.connect("any", cls.tcp)
        chain = api.attest("any", w.token(f"spiffe://{TD}/tester"), "agent-key")
        api.connect("agent", cls.tcp, "agent-key", chain["cert_chain"])
        api.connect("workload", f"unix://{w.socket}")
        cls.entry_id = w.entry("mine", "unix:uid:1", parent=f"spiffe://{TD}/tester")
        cls.key = EcKey(w.dir)
        serving = [p for p in w.server.run.children()["writ-server"]]
        cls.serving = serving[0]

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        super().tearDownClass()

    def state(self):
        """What must stay as it is: records of issuance, entries, agents."""
        issued = [line for line in (self.world.server.data / "issued.jsonl").read_text().splitlines()
                  if "/spire/" not in line and json.loads(line)["spiffe_id"] == ME and "node" not in line]
        return (len(issued), self.api.result("local", ENTRY + "CountEntries")["count"],
                self.api.result("local", AGENT + "CountAgents")["count"])

    def ask(self, where, csr):
        """Code and text that each method of the API gives for the request, and the certificate if there is one."""
        csr = b64(csr)
        if where == "mint":
            got = self.api.call("local", SVID + "MintX509SVID", {"csr": csr, "ttl": 60})
            chain = got["responses"][0]["svid"]["cert_chain"] if got["code"] == "OK" else None
        elif where == "batch":
            got = self.api.call("agent", SVID + "BatchNewX509SVID", {"params": [{"entry_id": self.entry_id, "csr": csr}]})
            if got["code"] == "OK":
                one = got["responses"][0]["results"][0]
                if one["status"]["code"]:
                    return "InvalidArgument" if one["status"]["code"] == 3 else one["status"], one["status"]["message"], None
                chain = one["svid"]["cert_chain"]
        elif where == "attest":
            token = self.api.result("local", AGENT + "CreateJoinToken", {"ttl": 60})["value"]
            got = self.api.call("any", AGENT + "AttestAgent", {"params": {
                "data": {"type": "join_token", "payload": b64(token.encode())}, "params": {"csr": csr}}})
            chain = got["responses"][0]["result"]["svid"]["cert_chain"] if got["code"] == "OK" else None
        else:
            got = self.api.call("agent", AGENT + "RenewAgent", {"params": {"csr": csr}})
            chain = got["responses"][0]["svid"]["cert_chain"] if got["code"] == "OK" else None
        return got["code"], got.get("message", ""), base64.b64decode(chain[0]) if got["code"] == "OK" else None

    def refused(self, what, where, csr, codes=("InvalidArgument",)):
        code, text, _ = self.ask(where, csr)
        self.assertIn(code, codes, f"{what} at {where}: {text}")
        self.assertTrue(text, f"{what} at {where}: no reason")
        self.assertNotRegex(text, r"[\x00-\x1f\x7f]", f"{what} at {where}")

    def test_bad_requests_for_certificates_are_refused(self):
        before = self.state()
        for what, csr, only_mint in bad_requests(self.key):
            for where in ("mint",) if only_mint else ("mint", "batch", "attest", "renew"):
                with self.subTest(what, where=where):
                    self.refused(what, where, csr)
        self.assertEqual(self.state(), before)

    def test_names_and_extensions_of_a_request_are_not_copied(self):
        asked = request(self.key, san(uri(f"spiffe://{TD}/stolen"), der(0x82, b"stolen.example")),
                        ext(USAGE, b"\3\2\1\6", True), ext(b"\x2a\x03\x04", b"\x0c\6stolen"))
        for where, has in (("batch", f"spiffe://{TD}/mine"), ("renew", f"spiffe://{TD}/spire/agent/join_token/"),
                           ("mint", f"spiffe://{TD}/stolen")):
            code, text, cert = self.ask(where, asked)
            self.assertEqual(code, "OK", text)
            shown = text_of(cert)
            self.assertIn(has, shown)
            self.assertIn("CA:FALSE", shown)
            self.assertNotIn("Certificate Sign", shown)
            self.assertNotIn("1.2.3.4", shown)
            if where != "mint":
                self.assertNotIn("stolen", shown)

    def test_huge_requests_are_refused_for_little(self):
        before = self.state()
        for what, csr in huge_requests(self.key):
            for where in ("mint", "batch", "renew"):
                with self.subTest(what, where=where):
                    start = cpu_s(self.serving)
                    self.refused(what, where, csr)
                    self.assertLess(cpu_s(self.serving) - start, CPU_MAX_S)
        huge = request(self.key, san(uri(ME)), subject=der(SEQ, bytes(10 << 20)))
        for where, codes in (("mint", ("ResourceExhausted",)), ("renew", ("ResourceExhausted", "Unavailable"))):
            self.refused("10 MiB", where, huge, codes)
        self.assertEqual(self.state(), before)

    def test_weak_keys_are_refused(self):
        before = self.state()
        for what, csr in weak_keys(self.world.dir, self.key):
            for where in ("mint", "batch", "attest", "renew"):
                with self.subTest(what, where=where):
                    self.refused(what, where, csr)
        self.assertEqual(self.state(), before)

    def test_key_of_the_ca_is_refused(self):
        keys = list((self.world.server.data / "keys").glob("*.pem"))
        tried = 0
        roots = [base64.b64decode(a["asn1"]) for a in self.api.result("local", BUNDLE + "GetBundle")["x509_authorities"]]
        for pem in keys:
            ca = EcKey(self.world.dir, pem=pem)
            for root in roots:
                if ca.spki in root:
                    tried += 1
                    for where in ("mint", "batch", "attest", "renew"):
                        self.refused("the CA's key", where, request(ca, san(uri(ME))))
        self.assertGreater(tried, 0)

    def test_good_request_is_still_served(self):
        for where in ("mint", "batch", "attest"):
            self.assertEqual(self.ask(where, request(self.key, san(uri(ME))))[0], "OK")

    # --- sizes ---

    def push(self, path, method, pid, announced, *headers):
        """One call with a message that announces its length and goes on for as long as it is read: how the call ended, and
        by how much the server grew meanwhile, in KiB."""
        s = h2.connect(str(path))
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method.encode()), (b":authority", b"localhost"),
                  (b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"workload.spiffe.io", b"true"), *headers]
        before, peak, room, sent, got = rss_kb(pid), 0, {0: 65530, 1: 65530}, 0, b""
        try:
            s.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) +
                      h2.frame(h2.HEADERS, 4, 1, b"".join(h2.header(n, v) for n, v in fields)) +
                      h2.frame(h2.DATA, 0, 1, struct.pack(">BI", 0, announced)))
            while sent < 8 * REQUEST_MAX:
                n = min(*room.values(), 16384)
                if n > 0:
                    s.sendall(h2.frame(h2.DATA, 0, 1, b"\xee" * n))
                    room, sent = {k: v - n for k, v in room.items()}, sent + n
                    peak = max(peak, rss_kb(pid) - before)
                    continue
                part = s.recv(65536)
                if not part:
                    return "closed", peak
                got += part
                while len(got) >= 9 and len(got) >= 9 + int.from_bytes(got[:3], "big"):
                    size, kind, flags = int.from_bytes(got[:3], "big"), got[3], got[4]
                    stream, payload = int.from_bytes(got[5:9], "big"), got[9:9 + size]
                    got = got[9 + size:]
                    if kind == WINDOW_UPDATE:
                        room[stream] = room.get(stream, 0) + int.from_bytes(payload, "big")
                    elif kind == h2.SETTINGS and not flags & 1:
                        for i in range(0, size, 6):
                            if payload[i:i + 2] == b"\0\4":
                                room[1] += int.from_bytes(payload[i + 2:i + 6], "big") - 65535
                        s.sendall(h2.frame(h2.SETTINGS, 1, 0))
                    elif kind in (h2.HEADERS, h2.RST, h2.GOAWAY):
                        return kind, peak
        except OSError:
            return "closed", peak
        finally:
            s.close()
        return "it took everything", peak

    def test_message_that_announces_more_than_may_be(self):
        w = self.world
        table = [(w.admin_socket, ENTRY + "CountEntries", self.serving), (w.admin_socket, AGENT + "AttestAgent", self.serving),
                 (w.socket, WORKLOAD + "FetchX509SVID", w.agent.run.pid)]
        for path, method, pid in table:
            for size in (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, REQUEST_MAX + 1):
                with self.subTest(method, size=size):
                    end, grown = self.push(path, method, pid, size)
                    self.assertIn(end, (h2.HEADERS, h2.RST, h2.GOAWAY, "closed"))
                    # Its buffers of 16 KiB are there twice, once on each side of the front.
                    self.assertLess(grown, (REQUEST_MAX >> 10) + 256)

    def test_compressed_message_is_not_unpacked(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = packer.compress(bytes(12 << 20)) + packer.flush()
        for path, method, pid in ((self.world.admin_socket, ENTRY + "CountEntries", self.serving),
                                  (self.world.socket, WORKLOAD + "FetchX509SVID", self.world.agent.run.pid)):
            s, before, got = h2.connect(str(path)), rss_kb(pid), b""
            fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method.encode()), (b":authority", b"localhost"),
                      (b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"workload.spiffe.io", b"true"),
                      (b"grpc-encoding", b"gzip")]
            s.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) +
                      h2.frame(h2.HEADERS, 4, 1, b"".join(h2.header(n, v) for n, v in fields)) +
                      h2.frame(h2.DATA, 1, 1, struct.pack(">BI", 1, len(bomb)) + bomb))
            self.assertLess(len(bomb), 16000)
            with s:
                while not (found := re.search(rb"grpc-status[\x01\x02](\d+)", got)):
                    part = s.recv(65536)
                    self.assertTrue(part, "closed without an answer")
                    got += part
            self.assertNotEqual(int(found[1]), 0, method)
            self.assertLess(rss_kb(pid) - before, 1024)

    def test_message_over_the_limit(self):
        for conn, method, codes in (("local", ENTRY + "CountEntries", ("ResourceExhausted",)),
                                    ("agent", ENTRY + "GetAuthorizedEntries", ("ResourceExhausted",)),
                                    ("any", AGENT + "AttestAgent", ("ResourceExhausted", "Unavailable")),
                                    ("workload", WORKLOAD + "FetchX509SVID", ("ResourceExhausted", "Unavailable"))):
            with self.subTest(method):
                got = self.api.ask(op="raw", conn=conn, method=method, body=b64(bytes(REQUEST_MAX + 1)))
                self.assertIn(got["code"], codes, got)

    def test_largest_page_is_still_a_page(self):
        for size in (2**31 - 1, -1, -2**31):
            for method in (ENTRY + "ListEntries", AGENT + "ListAgents"):
                got = self.api.call("local", method, {"page_size": size})
                self.assertIn(got["code"], ("OK", "InvalidArgument"), got)

    # --- broken messages ---

    def test_broken_messages_do_not_break_the_server(self):
        self.mutate(int(sys.argv[-1]) if sys.argv[-1].isdigit() else 300)

    def mutate(self, count):
        """Damaged copies of a real message of each method, by who may call it; returns what was answered."""
        spire = f"spiffe://{TD}/fuzz"
        entry = {"spiffe_id": id_of(spire), "parent_id": id_of(NODE), "selectors": selectors_of("unix:uid:1", "unix:gid:2"),
                 "dns_names": ["a.example"], "hint": "h", "x509_svid_ttl": 60}
        csr = b64(request(self.key, san(uri(ME))))
        table = [
            ("local", ENTRY + "BatchCreateEntry", {"entries": [entry], "output_mask": {"spiffe_id": True}}),
            ("local", ENTRY + "BatchUpdateEntry", {"entries": [{**entry, "id": "none"}], "input_mask": {"hint": True}}),
            ("local", ENTRY + "BatchDeleteEntry", {"ids": ["a", "b"]}),
            ("local", ENTRY + "ListEntries", {"filter": {"by_spiffe_id": id_of(spire), "by_selectors": {
                "selectors": selectors_of("a:b"), "match": "MATCH_ANY"}}, "page_size": 3, "page_token": "x"}),
            ("local", ENTRY + "CountEntries", {"filter": {"by_hint": "x"}}),
            ("local", ENTRY + "GetEntry", {"id": "none"}),
            ("agent", ENTRY + "GetAuthorizedEntries", {"output_mask": {"spiffe_id": True}}),
            ("agent", ENTRY + "SyncAuthorizedEntries", {"output_mask": {"spiffe_id": True, "revision_number": True}}),
            ("local", AGENT + "ListAgents", {"filter": {"by_attestation_type": "x"}, "page_size": 2}),
            ("local", AGENT + "CountAgents", {"filter": {"by_banned": True}}),
            ("local", AGENT + "GetAgent", {"id": id_of(spire)}),
            ("local", AGENT + "BanAgent", {"id": id_of(spire)}),
            ("local", AGENT + "DeleteAgent", {"id": id_of(spire)}),
            ("local", AGENT + "CreateJoinToken", {"ttl": 60, "agent_id": id_of(spire)}),
            ("any", AGENT + "AttestAgent", {"params": {"data": {"type": "join_token", "payload": b64(b"no token")},
                                                       "params": {"csr": csr}}}),
            ("agent", AGENT + "RenewAgent", {"params": {"csr": csr[:40]}}),
            ("agent", AGENT + "PostStatus", {"current_bundle_serial": 3}),
            ("any", BUNDLE + "GetBundle", {"output_mask": {"x509_authorities": True}}),
            ("local", BUNDLE + "AppendBundle", {"x509_authorities": [{"asn1": csr}]}),
            ("local", BUNDLE + "CountBundles", {}),
            ("local", SVID + "MintX509SVID", {"csr": csr, "ttl": 60}),
            ("agent", SVID + "BatchNewX509SVID", {"params": [{"entry_id": self.entry_id, "csr": csr}]}),
        ]
        answers = {}
        for n, (conn, method, message) in enumerate(table):
            with self.subTest(method):
                start = cpu_s(self.serving)
                got = self.api.must(op="mutate", conn=conn, method=method, requests=[message], count=count, workers=8, seed=n)
                got = got["responses"][0]
                self.assertEqual(sum(got["codes"].values()), count)
                self.assertFalse(set(got["codes"]) & {"Unavailable", "DeadlineExceeded", "Unknown"}, got)
                got["cpu_us"] = (cpu_s(self.serving) - start) / count * 1e6
                answers[method] = got
        self.assertTrue(self.world.server.is_ready())
        self.assertEqual(self.world.server.run.children()["writ-server"][0], self.serving, "the server was replaced")
        return answers


if __name__ == "__main__":
    main()
