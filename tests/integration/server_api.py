# SPDX-License-Identifier: Apache-2.0
"""The server's API where SPIRE's agents depend on texts, pages and order; tokens under a race; the audit records."""
import concurrent.futures
import json
import re

from kit.api import AGENT, ENTRY, SVID, Api, b64, id_of, selectors_of
from kit.world import NODE, TD, Case, main

MASK = {"spiffe_id": True, "selectors": True, "revision_number": True, "created_at": True}
CALLERS = {"local", "admin", "agent", "downstream", "unprivileged", "anonymous"}
ENDED = {"result": str, "code": int, "took_us": int}
EVENTS = {
    "admin.call": ENDED, "agent.attest": ENDED, "call.refuse": ENDED,
    "svid.issue": {"for": str, "spiffe_id": str, "serial": str, "not_after": int, "authority": str},
}


class ServerApi(Case):
    server_extra = 'ca_ttl = "1h"\nratelimit { attestation = false }\n'

    @classmethod
    def prepare(cls):
        w = cls.world.start(agent=False)
        cls.tcp = f"127.0.0.1:{w.port}"
        cls.api = api = Api()
        api.connect("local", f"unix://{w.admin_socket}")
        api.connect("any", cls.tcp)
        chain = api.attest("any", w.token(), "agent-key")
        api.connect("agent", cls.tcp, "agent-key", chain["cert_chain"])
        cls.csr = api.must(op="key", key="some")["csr"]

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        super().tearDownClass()

    def create(self, n, name):
        made = []
        for i in range(0, n, 400):
            got = self.api.result("local", ENTRY + "BatchCreateEntry", {"entries": [
                {"parent_id": id_of(NODE), "spiffe_id": id_of(f"spiffe://{TD}/{name}/{k}"),
                 "selectors": selectors_of(f"unix:uid:{k}")} for k in range(i, min(n, i + 400))]})
            made += [r["entry"]["id"] for r in got["results"]]
        return made

    def attest(self, token, api=None, conn="any", csr=None):
        return (api or self.api).call(conn, AGENT + "AttestAgent", {"params": {
            "data": {"type": "join_token", "payload": b64(token.encode())}, "params": {"csr": csr or self.csr}}})

    def test_many_entries_come_as_revisions_then_by_id(self):
        ids = sorted(self.create(1203, "sync"))
        extra = len(self.api.result("agent", ENTRY + "GetAuthorizedEntries")["entries"]) - len(ids)
        got = self.api.call("agent", ENTRY + "SyncAuthorizedEntries", {"output_mask": MASK},
                            {"ids": ids + ["nobody"]}, {"ids": ["nobody"]}, {"ids": ids[:2]}, timeout_ms=8000)
        self.assertEqual(got["code"], "OK")
        pages = [(len(r["entry_revisions"]), len(r["entries"]), r["more"]) for r in got["responses"]]
        self.assertEqual(pages, [(500, 0, True), (500, 0, True), (203 + extra, 0, False), (0, 500, True),
                                 (0, 500, True), (0, 203, False), (0, 0, False), (0, 2, False)])
        sent = [e["id"] for r in got["responses"][3:6] for e in r["entries"]]
        self.assertEqual(sent, ids)

    def test_first_message_of_a_sync_is_checked(self):
        for request, text in (({"output_mask": MASK, "ids": ["x"]}, "specifying IDs on initial request is not supported"),
                              ({"output_mask": {"spiffe_id": True}}, "revision number cannot be masked")):
            got = self.api.call("agent", ENTRY + "SyncAuthorizedEntries", request)
            self.assertEqual((got["code"], got["message"]), ("InvalidArgument", text))

    def test_attestation_says_what_is_missing(self):
        data, csr = {"type": "join_token", "payload": b64(b"no such token")}, {"csr": self.csr}
        table = [
            ({}, "InvalidArgument", "malformed param: missing params"),
            ({"params": {}}, "InvalidArgument", "malformed param: missing attestation data"),
            ({"params": {"data": {}}}, "InvalidArgument", "malformed param: missing X509-SVID parameters"),
            ({"params": {"data": {}, "params": {}}}, "InvalidArgument", "malformed param: missing attestation data type"),
            ({"params": {"data": {"type": "x"}, "params": {}}}, "InvalidArgument",
             "malformed param: missing attestation data payload"),
            ({"params": {"data": data, "params": {}}}, "InvalidArgument", "malformed param: missing CSR"),
            ({"params": {"data": {**data, "type": "x"}, "params": csr}}, "FailedPrecondition",
             'error getting node attestor: could not find node attestor type "x"'),
            ({"params": {"data": data, "params": csr}}, "InvalidArgument",
             "failed to attest: join token does not exist or has already been used"),
        ]
        for request, code, text in table:
            with self.subTest(text):
                got = self.api.call("any", AGENT + "AttestAgent", request)
                self.assertEqual((got["code"], got["message"]), (code, text))

    def test_token_is_taken_by_exactly_one_of_many(self):
        def client(_):
            api = Api()
            api.connect("any", self.tcp)
            return api, api.must(op="key", key="k")["csr"]
        clients = [client(i) for i in range(8)]
        for _ in range(20):
            token = self.api.result("local", AGENT + "CreateJoinToken", {"ttl": 60})["value"]
            with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
                codes = list(pool.map(lambda c: self.attest(token, *[c[0], "any", c[1]])["code"], clients))
            self.assertEqual(sorted(codes), ["InvalidArgument"] * (len(clients) - 1) + ["OK"])
        for api, _ in clients:
            api.close()

    def test_batch_of_svids_answers_each_item(self):
        entry = self.create(1, "batch")[0]
        got = self.api.result("agent", SVID + "BatchNewX509SVID", {"params": [
            {"entry_id": "", "csr": self.csr}, {"entry_id": entry}, {"entry_id": "nobody", "csr": self.csr},
            {"entry_id": entry, "csr": b64(b"abc")}, {"entry_id": entry, "csr": self.csr}]})["results"]
        self.assertEqual([r["status"]["code"] for r in got], [3, 3, 5, 3, 0])
        self.assertEqual([r["status"]["message"] for r in got[:3]],
                         ["missing entry ID", "missing CSR", "entry not found or not authorized"])
        self.assertTrue(got[3]["status"]["message"].startswith("malformed CSR: "))
        none = self.api.call("agent", SVID + "BatchNewX509SVID", {})
        self.assertEqual((none["code"], none["message"]), ("InvalidArgument", "missing parameters"))
        many = self.api.call("agent", SVID + "BatchNewX509SVID", {"params": [{"entry_id": "x", "csr": b64(b"x")}] * 501})
        self.assertEqual((many["code"], many["message"]), ("ResourceExhausted", "rate (501) exceeds burst size (500)"))

    def test_audit_has_the_documented_schema(self):
        self.create(1, "audited")
        self.api.call("any", ENTRY + "CountEntries")
        self.attest("no such\n\x1b[31m token")
        seen = set()
        for line in self.world.audit.read_bytes().splitlines():
            self.assertNotRegex(line, rb"[\x00-\x1f\x7f]")
            record = json.loads(line)
            seen.add(record["msg"])
            self.assertEqual(record["type"], "audit")
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertIn(record["caller"], CALLERS)
            self.assertTrue(re.match(r"/[\w.]+/\w+$", record["method"]) and record["address"])
            if record["caller"] == "local":
                self.assertIsInstance(record["caller_uid"], int)
            for key, kind in EVENTS[record["msg"]].items():
                self.assertIsInstance(record[key], kind, line)
        self.assertEqual(seen, set(EVENTS))


if __name__ == "__main__":
    main()
