# SPDX-License-Identifier: Apache-2.0
"""Every method of the server by every kind of caller: who_may_call.txt, and the callers it does not name."""
import time
from pathlib import Path

from kit.api import AGENT, ENTRY, Api, b64, id_of
from kit.net import openssl, self_made
from kit.proc import wait_for
from kit.world import NODE, TD, Case, main

TABLE = Path(__file__).with_name("who_may_call.txt")
CALLERS = ("any", "local", "admin", "agent", "downstream")
# A connection that is refused in the TLS handshake ends as Unavailable.
REFUSED = {"PermissionDenied", "Unauthenticated"}
SHUT_OUT = REFUSED | {"Unavailable"}


def table():
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            method, served, *who = line.split()
            yield method, served == "yes", who


def der(pem):
    return b64(openssl("x509", "-outform", "DER", stdin=pem.read_bytes()))


class WhoMayCall(Case):
    server_extra = 'ca_ttl = "1h"\n'

    @classmethod
    def prepare(cls):
        w = cls.world.start(agent=False)
        cls.api = api = Api()
        cls.tcp = f"127.0.0.1:{w.port}"
        api.connect("local", f"unix://{w.admin_socket}")
        api.connect("any", cls.tcp)
        chain = api.attest("any", w.token(), "agent-key")
        cls.agent_id = chain["id"]
        api.connect("agent", cls.tcp, "agent-key", chain["cert_chain"])
        for name, more in (("admin", ["-admin"]), ("downstream", ["-downstream"]), ("plain", [])):
            entry = w.entry(name, "unix:uid:1", more=more)
            got = api.new_svid("agent", f"{name}-key", entry)
            api.connect(name, cls.tcp, f"{name}-key", got)

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        super().tearDownClass()

    def test_table(self):
        for method, served, who in table():
            for caller in CALLERS:
                with self.subTest(method=method, caller=caller):
                    answer = self.api.call(caller, method, timeout_ms=2000, max=1)
                    # Health and the like are not there over TCP at all.
                    if "any" in who or caller in who:
                        if served:
                            self.assertNotIn(answer["code"], SHUT_OUT | {"Unimplemented"}, answer)
                        else:
                            self.assertEqual(answer["code"], "Unimplemented", answer)
                    else:
                        self.assertIn(answer["code"], REFUSED | {"Unimplemented"}, answer)
                        if served:
                            self.assertTrue(answer["code"] in REFUSED or method.startswith("/grpc.health"), answer)

    def test_plain_workload_may_call_what_anyone_may_and_nothing_else(self):
        for method, served, who in table():
            with self.subTest(method=method):
                answer = self.api.call("plain", method, timeout_ms=2000, max=1)
                if "any" in who:
                    self.assertNotIn(answer["code"], SHUT_OUT)
                else:
                    self.assertIn(answer["code"], REFUSED | {"Unimplemented"}, answer)

    def refused_everywhere(self, conn, but_any=False):
        for method, served, who in table():
            with self.subTest(method=method, conn=conn):
                answer = self.api.call(conn, method, timeout_ms=2000, max=1)
                if but_any and "any" in who:
                    continue
                self.assertIn(answer["code"], SHUT_OUT | {"Unimplemented"}, answer)
                self.assertFalse(served and answer["code"] == "Unimplemented"
                                 and not method.startswith("/grpc.health"), answer)

    def another_agent(self, name):
        chain = self.api.attest("any", self.world.token(f"spiffe://{TD}/{name}"), f"{name}-key")
        self.api.connect(name, self.tcp, f"{name}-key", chain["cert_chain"])
        self.assertEqual(self.api.call(name, ENTRY + "GetAuthorizedEntries")["code"], "OK")
        return chain

    def test_banned_agent_may_call_nothing(self):
        chain = self.another_agent("banned")
        self.api.result("local", AGENT + "BanAgent", {"id": chain["id"]})
        self.refused_everywhere("banned", but_any=True)
        self.api.connect("banned-again", self.tcp, "banned-key", chain["cert_chain"])
        self.refused_everywhere("banned-again", but_any=True)

    def test_evicted_agent_must_attest_again(self):
        chain = self.another_agent("evicted")
        self.api.result("local", AGENT + "DeleteAgent", {"id": chain["id"]})
        self.refused_everywhere("evicted", but_any=True)

    def test_agent_renews_and_goes_on_with_the_new_svid(self):
        chain = self.another_agent("renewing")
        csr = self.api.must(op="key", key="renewed-key")["csr"]
        new = self.api.result("renewing", AGENT + "RenewAgent", {"params": {"csr": csr}})["svid"]
        self.assertEqual(new["id"], chain["id"])
        self.api.connect("renewed", self.tcp, "renewed-key", new["cert_chain"])
        self.assertEqual(self.api.call("renewed", ENTRY + "GetAuthorizedEntries")["code"], "OK")

    def test_join_token_works_once(self):
        token = self.world.token(f"spiffe://{TD}/once")
        self.api.attest("any", token, "once-key")
        csr = self.api.must(op="key", key="twice-key")["csr"]
        again = self.api.call("any", AGENT + "AttestAgent", {"params": {
            "data": {"type": "join_token", "payload": b64(token.encode())}, "params": {"csr": csr}}})
        self.assertIn(again["code"], ("InvalidArgument", "PermissionDenied"), again)
        self.assertNotIn(token, again["message"])

    def test_foreign_trust_domain_is_refused_in_the_handshake_or_at_the_call(self):
        d = self.world.dir
        ca = self_made(d, "foreign-ca", "spiffe://foreign.test", ca=True)
        for name, spiffe_id in (("foreign", "spiffe://foreign.test/spire/agent/x"),
                                ("liar", f"spiffe://{TD}{self.agent_id['path']}")):
            cert, key = self_made(d, name, spiffe_id, issuer=ca)
            chain = self.api.must(op="load", key=name, cert_file=str(cert), key_file=str(key))["chain"]
            self.api.connect(name, self.tcp, name, [*chain, der(ca[0])])
            self.refused_everywhere(name)

    def test_minted_agent_id_makes_no_agent(self):
        answer = self.api.must(op="key", key="minted", spiffe_id=f"spiffe://{TD}/spire/agent/join_token/x")
        minted = self.api.call("local", "/spire.api.server.svid.v1.SVID/MintX509SVID", {"csr": answer["csr"]})
        if minted["code"] == "OK":
            self.api.connect("minted", self.tcp, "minted", minted["responses"][0]["svid"]["cert_chain"])
            self.refused_everywhere("minted", but_any=True)

    def test_server_is_what_it_says(self):
        ca = self.api.result("any", "/spire.api.server.bundle.v1.Bundle/GetBundle")
        roots = [a["asn1"] for a in ca["x509_authorities"]]
        self.api.connect("checked", self.tcp, ca=roots)
        self.assertEqual(self.api.call("checked", "/spire.api.server.bundle.v1.Bundle/GetBundle")["code"], "OK")

    def test_agent_gets_svids_of_its_own_entries_only(self):
        other = self.world.entry("elsewhere", "unix:uid:1", parent=f"spiffe://{TD}/other-node")
        csr = self.api.must(op="key", key="theft")["csr"]
        answer = self.api.result("agent", "/spire.api.server.svid.v1.SVID/BatchNewX509SVID",
                                 {"params": [{"entry_id": other, "csr": csr}]})
        self.assertNotEqual(answer["results"][0]["status"]["code"], 0)
        self.assertFalse(answer["results"][0]["svid"])


class ExpiredAgent(Case):
    server_extra = 'ca_ttl = "1h"\nagent_ttl = "10s"\n'

    @classmethod
    def prepare(cls):
        cls.world.start(agent=False)

    def test_expired_agent_may_call_nothing(self):
        api, tcp = Api(), f"127.0.0.1:{self.world.port}"
        api.connect("any", tcp)
        svid = api.attest("any", self.world.token(NODE), "k")
        api.connect("early", tcp, "k", svid["cert_chain"])
        self.assertEqual(api.call("early", ENTRY + "GetAuthorizedEntries")["code"], "OK")
        wait_for(lambda: time.time() > int(svid["expires_at"]) + 1, 20, "the agent's SVID has expired")
        api.connect("late", tcp, "k", svid["cert_chain"])
        for conn in ("early", "late"):
            for method in (ENTRY + "GetAuthorizedEntries", ENTRY + "SyncAuthorizedEntries", AGENT + "PostStatus"):
                answer = api.call(conn, method, timeout_ms=2000, max=1)
                self.assertIn(answer["code"], SHUT_OUT, f"{conn} {method} {answer}")
        self.assertEqual(id_of(f"spiffe://{TD}{svid['id']['path']}"), svid["id"])
        api.close()


if __name__ == "__main__":
    main()
