# SPDX-License-Identifier: Apache-2.0
"""The Workload API by the letter: the security header, unknown methods, several streams, one caller's limits."""
from kit.api import WORKLOAD, Api
from kit.world import MINE, TD, Case, main

HEADER = {"workload.spiffe.io": "true"}
METHODS = ("FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID")


class WorkloadApi(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        w.entry("me", f"unix:uid:{MINE}", more=["-hint", "one"])
        w.entry("me/too", f"unix:uid:{MINE}")
        cls.api = Api()
        cls.api.connect("a", f"unix://{w.socket}")

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        super().tearDownClass()

    def test_header_must_be_exactly_there(self):
        wrong = [{}, {"workload.spiffe.io": "True"}, {"workload.spiffe.io": "TRUE"}, {"workload.spiffe.io": "1"},
                 {"workload.spiffe.io": ""}, {"broker.spiffe.io": "true"}]
        for method in METHODS:
            for meta in wrong:
                with self.subTest(method=method, meta=meta):
                    got = self.api.call("a", WORKLOAD + method, meta=meta, max=1, timeout_ms=3000)
                    self.assertEqual(got["code"], "InvalidArgument", got)

    def test_first_message_is_the_whole_state(self):
        got = self.api.call("a", WORKLOAD + "FetchX509SVID", meta=HEADER, max=1)
        message = got["responses"][0]
        self.assertEqual({s["spiffe_id"]: s["hint"] for s in message["svids"]},
                         {f"spiffe://{TD}/me": "one", f"spiffe://{TD}/me/too": ""})
        for svid in message["svids"]:
            self.assertTrue(svid["x509_svid"] and svid["x509_svid_key"] and svid["bundle"])
        keys = [s["x509_svid_key"] for s in message["svids"]]
        self.assertNotEqual(keys[0], keys[1])

    def test_order_is_stable(self):
        ids = []
        for i in range(3):
            if i == 2:
                self.world.agent.run.kill()
                self.world.agent.start()
            got = self.api.call("a", WORKLOAD + "FetchX509SVID", meta=HEADER, max=1)
            ids.append([s["spiffe_id"] for s in got["responses"][0]["svids"]])
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(ids[1], ids[2])

    def test_bundles_are_keyed_by_trust_domain(self):
        got = self.api.call("a", WORKLOAD + "FetchX509Bundles", meta=HEADER, max=1)
        self.assertEqual(list(got["responses"][0]["bundles"]), [f"spiffe://{TD}"])

    def test_what_is_not_there_says_so(self):
        for method in ("FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID"):
            got = self.api.call("a", WORKLOAD + method, {}, meta=HEADER, max=1)
            self.assertEqual(got["code"], "Unimplemented", got)
        for method in ("/SpiffeWorkloadAPI/Nope", "/foo.Bar/Baz"):
            got = self.api.ask(op="raw", conn="a", method=method, body="", meta=HEADER)
            self.assertEqual(got["code"], "Unimplemented", got)

    def test_health_needs_no_header(self):
        got = self.api.call("a", "/grpc.health.v1.Health/Check")
        self.assertEqual(got["responses"][0]["status"], "SERVING", got)


if __name__ == "__main__":
    main()
