# SPDX-License-Identifier: Apache-2.0
"""SPIRE's API as its agents and its CLI depend on it: batches, masks, pages, filters, codes."""
from kit.api import AGENT, BUNDLE, ENTRY, HEALTH, SVID, Api, id_of, selectors_of
from kit.world import NODE, TD, Case, main

OK, INVALID, NOT_FOUND, EXISTS = 0, 3, 5, 6


def entry(name, *selectors, **more):
    return {"parent_id": id_of(NODE), "spiffe_id": id_of(f"spiffe://{TD}/{name}"),
            "selectors": selectors_of(*(selectors or ("unix:uid:1",))), **more}


class Contract(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start(agent=False)
        cls.api = Api()
        cls.api.connect("a", f"unix://{w.admin_socket}")

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        super().tearDownClass()

    def result(self, method, request=None):
        return self.api.result("a", method, request or {})

    def create(self, *entries):
        return self.result(ENTRY + "BatchCreateEntry", {"entries": list(entries)})["results"]

    def test_create_answers_each_entry_in_order(self):
        got = self.create(entry("c/1"), entry("c/2", x509_svid_ttl=-1), entry("c/1"), entry("c/4"))
        self.assertEqual([r["status"]["code"] for r in got], [OK, INVALID, EXISTS, OK])
        self.assertEqual(got[2]["entry"]["id"], got[0]["entry"]["id"])
        self.assertTrue(all(r["status"] is not None for r in got))

    def test_bad_entries_are_refused_each_by_itself(self):
        table = [
            ("no selectors", {**entry("b/1"), "selectors": []}),
            ("no SPIFFE ID", {**entry("b/2"), "spiffe_id": None}),
            ("no parent", {**entry("b/3"), "parent_id": None}),
            ("foreign trust domain", {**entry("b/4"), "spiffe_id": id_of("spiffe://other.test/x")}),
            ("the trust domain itself", {**entry("b/5"), "spiffe_id": id_of(f"spiffe://{TD}")}),
            ("dot segment", {**entry("b/6"), "spiffe_id": {"trust_domain": TD, "path": "/a/../b"}}),
            ("no slash", {**entry("b/7"), "spiffe_id": {"trust_domain": TD, "path": "a"}}),
            ("selector without a type", {**entry("b/8"), "selectors": [{"type": "", "value": "x"}]}),
            ("selector without a value", {**entry("b/9"), "selectors": [{"type": "unix", "value": ""}]}),
            ("DNS name with a space", entry("b/10", dns_names=["a b"])),
        ]
        got = self.create(*[e for _, e in table])
        for (what, _), r in zip(table, got):
            with self.subTest(what):
                self.assertEqual(r["status"]["code"], INVALID, r)
                self.assertTrue(r["status"]["message"])

    def test_masks_leave_fields_out(self):
        made = self.create(entry("m/1", hint="h"))[0]["entry"]["id"]
        got = self.result(ENTRY + "GetEntry", {"id": made, "output_mask": {"spiffe_id": True}})
        self.assertEqual(got["spiffe_id"], id_of(f"spiffe://{TD}/m/1"))
        self.assertFalse(got["parent_id"] or got["selectors"] or got["hint"])
        self.assertEqual(got["id"], made, "the ID always comes")

    def test_update_by_mask_changes_that_alone(self):
        made = self.create(entry("u/1", "unix:uid:7", hint="old"))[0]["entry"]
        got = self.result(ENTRY + "BatchUpdateEntry", {
            "entries": [{"id": made["id"], "hint": "new"}], "input_mask": {"hint": True}})["results"][0]
        self.assertEqual(got["status"]["code"], OK, got)
        self.assertEqual(got["entry"]["hint"], "new")
        self.assertEqual(got["entry"]["selectors"], made["selectors"])
        self.assertGreater(int(got["entry"]["revision_number"]), int(made["revision_number"]))
        missing = self.result(ENTRY + "BatchUpdateEntry", {"entries": [{"id": "none", "hint": "x"}],
                                                           "input_mask": {"hint": True}})["results"][0]
        self.assertEqual(missing["status"]["code"], NOT_FOUND)

    def test_delete_answers_each(self):
        made = self.create(entry("d/1"))[0]["entry"]["id"]
        got = self.result(ENTRY + "BatchDeleteEntry", {"ids": [made, "none"]})["results"]
        self.assertEqual([r["status"]["code"] for r in got], [OK, NOT_FOUND])
        self.assertEqual([r["id"] for r in got], [made, "none"])
        self.assertEqual(self.api.call("a", ENTRY + "GetEntry", {"id": made})["code"], "NotFound")

    def test_pages_give_every_entry_once(self):
        self.create(*[entry(f"p/{i}", "unix:uid:4711") for i in range(25)])
        chosen = {"by_selectors": {"selectors": selectors_of("unix:uid:4711"), "match": "MATCH_EXACT"}}
        seen, token, pages = [], "", 0
        while True:
            got = self.result(ENTRY + "ListEntries", {"page_size": 10, "page_token": token, "filter": chosen})
            self.assertLessEqual(len(got["entries"]), 10)
            seen += [e["spiffe_id"]["path"] for e in got["entries"]]
            token, pages = got["next_page_token"], pages + 1
            if not token:
                break
            self.assertLess(pages, 10)
        self.assertEqual(sorted(seen), sorted(f"/p/{i}" for i in range(25)))
        self.assertEqual(self.result(ENTRY + "CountEntries", {"filter": chosen})["count"], 25)
        self.assertEqual(self.api.call("a", ENTRY + "ListEntries", {"page_size": 10, "page_token": "nonsense"})["code"],
                         "InvalidArgument")

    def test_selector_filters(self):
        self.create(entry("f/1", "x:a"), entry("f/2", "x:a", "x:b"), entry("f/3", "x:a", "x:b", "x:c"))
        given = selectors_of("x:a", "x:b")
        for match, names in (("MATCH_EXACT", ["/f/2"]), ("MATCH_SUBSET", ["/f/1", "/f/2"]),
                             ("MATCH_SUPERSET", ["/f/2", "/f/3"]), ("MATCH_ANY", ["/f/1", "/f/2", "/f/3"])):
            got = self.result(ENTRY + "ListEntries", {"filter": {"by_selectors": {"selectors": given, "match": match}}})
            self.assertEqual(sorted(e["spiffe_id"]["path"] for e in got["entries"]), names, match)

    def test_filter_by_id_and_hint(self):
        self.create(entry("g/1", hint="one"), entry("g/2", hint="two"))
        for chosen, path in (({"by_spiffe_id": id_of(f"spiffe://{TD}/g/1")}, "/g/1"), ({"by_hint": "two"}, "/g/2")):
            got = self.result(ENTRY + "ListEntries", {"filter": chosen})["entries"]
            self.assertEqual([e["spiffe_id"]["path"] for e in got], [path])

    def test_agents_are_listed_counted_and_forgotten(self):
        api = self.api
        api.connect("tcp", f"127.0.0.1:{self.world.port}")
        svid = api.attest("tcp", self.world.token(f"spiffe://{TD}/listed"), "listed")
        agent = self.result(AGENT + "GetAgent", {"id": svid["id"]})
        self.assertEqual(agent["attestation_type"], "join_token")
        self.assertFalse(agent["banned"] or agent["can_reattest"])
        count = self.result(AGENT + "CountAgents")["count"]
        listed = self.result(AGENT + "ListAgents")["agents"]
        self.assertEqual(len(listed), count)
        self.assertIn(svid["id"], [a["id"] for a in listed])
        self.result(AGENT + "DeleteAgent", {"id": svid["id"]})
        self.assertEqual(self.result(AGENT + "CountAgents")["count"], count - 1)
        self.assertEqual(api.call("a", AGENT + "GetAgent", {"id": svid["id"]})["code"], "NotFound")

    def test_join_tokens_may_be_chosen_and_must_have_a_life(self):
        got = self.result(AGENT + "CreateJoinToken", {"ttl": 60, "token": "chosen-by-hand-0123456789"})
        self.assertEqual(got["value"], "chosen-by-hand-0123456789")
        self.assertEqual(self.api.call("a", AGENT + "CreateJoinToken", {"ttl": 0})["code"], "InvalidArgument")

    def test_bundle_has_the_authorities_and_a_sequence(self):
        got = self.result(BUNDLE + "GetBundle")
        self.assertEqual(got["trust_domain"], TD)
        self.assertGreaterEqual(len(got["x509_authorities"]), 1)
        masked = self.result(BUNDLE + "GetBundle", {"output_mask": {"refresh_hint": True}})
        self.assertEqual(masked["x509_authorities"], [])

    def test_mint_takes_the_id_from_the_request(self):
        csr = self.api.must(op="key", key="mint", spiffe_id=f"spiffe://{TD}/minted")["csr"]
        got = self.result(SVID + "MintX509SVID", {"csr": csr, "ttl": 60})["svid"]
        self.assertEqual(got["id"], id_of(f"spiffe://{TD}/minted"))
        for bad in ("spiffe://other.test/x", f"spiffe://{TD}", "https://example.org/x"):
            csr = self.api.must(op="key", key="mint", spiffe_id=bad)["csr"]
            self.assertEqual(self.api.call("a", SVID + "MintX509SVID", {"csr": csr})["code"], "InvalidArgument", bad)

    def test_health_is_told(self):
        self.assertEqual(self.result(HEALTH + "Check")["status"], "SERVING")
        self.assertEqual(self.api.call("a", HEALTH + "Check", {"service": "nobody"})["code"], "NotFound")

    def test_unknown_methods_are_unimplemented(self):
        for method in ("/spire.api.server.entry.v1.Entry/Nope", "/no.Service/Nope", "/x"):
            answer = self.api.ask(op="raw", conn="a", method=method, body="")
            self.assertEqual(answer["code"], "Unimplemented", method)


if __name__ == "__main__":
    main()
