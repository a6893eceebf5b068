# SPDX-License-Identifier: Apache-2.0
"""What the kubelet says of a pod decides who gets an identity: against a fake of its API (kit/fake_kubelet.py), with real
cgroups and real processes in them. Outside of root, and without v1 and v2 cgroups, all is skipped."""
import time
import unittest
import uuid

from kit.fake_docker import Container, lacks
from kit.fake_kubelet import FakeKubelet, pod
from kit.world import AGENT_CONF, JOIN_TOKEN, Case, main
from node_attest import Pki
from runtimes import REST_S, ask

TOKEN = "node-agents-token"


@unittest.skipIf(lacks(), lacks())
class Kubelet(Case):
    @classmethod
    def prepare(cls):
        w = cls.world
        cls.pki, cls.other = Pki(w.dir / "pki", "kubelet"), Pki(w.dir / "other", "other")
        cls.kubelet = FakeKubelet(*cls.pki.cert("kubelet", issuer=cls.pki.root, san="DNS:localhost"), TOKEN)
        cls.made, cls.ca, cls.token = [], w.dir / "ca.pem", w.dir / "token.k8s"
        cls.set_files()
        attestors = JOIN_TOKEN + f"""
	WorkloadAttestor "k8s" {{ plugin_data {{
		kubelet_secure_port = {cls.kubelet.port}
		kubelet_ca_path = "{cls.ca}"
		token_path = "{cls.token}"
		node_name = "localhost"
		max_poll_attempts = 8
		poll_retry_interval = "200ms"
	}} }}"""
        w.agent.conf.write_text(AGENT_CONF.format(**{**w.agent.values, "attestors": attestors}))
        w.start()
        w.entry("web", "k8s:ns:shop", "k8s:sa:web", "k8s:container-name:web", "k8s:pod-label:app:web")

    @classmethod
    def tearDownClass(cls):
        cls.kubelet.close()
        for c in cls.made:
            c.remove()
        super().tearDownClass()

    @classmethod
    def set_files(cls, ca=None, token=TOKEN):
        cls.ca.write_bytes((ca or cls.pki.root[0]).read_bytes())
        cls.token.write_text(token)

    def setUp(self):
        self.set_files()
        self.kubelet.mood = ""
        self.kubelet.pods.clear()
        self.kubelet.late.clear()
        self.kubelet.requests = 0

    def new_pod(self, account="web", uid=None):
        """A pod's uid, and a container of it that has a cgroup and is not listed yet."""
        uid = uid or str(uuid.uuid4())
        c = Container(folder=f"kubepods/burstable/pod{uid}")
        self.made.append(c)
        return uid, c, pod(uid, "web", account, ("proxy", "ab" * 32, "envoy:1"), ("web", c.id, "web:1"))

    def why(self):
        lines = [line for line in self.world.agent.run.err.splitlines() if "workload.denied" in line]
        return lines[-1] if lines else ""

    def test_a_pod_gets_what_its_account_and_container_are_for(self):
        _, web, listed = self.new_pod()
        _, db, other = self.new_pod("db")
        self.kubelet.pods += [listed, other]
        self.assertTrue(ask(self.world, web)[0])
        self.assertFalse(ask(self.world, db)[0])
        self.assertFalse(ask(self.world)[0])

    def test_a_container_of_another_pod_is_not_believed(self):
        _, web, listed = self.new_pod()
        listed["metadata"]["uid"] = str(uuid.uuid4())
        self.kubelet.pods.append(listed)
        self.assertFalse(ask(self.world, web)[0])
        self.assertIn("does not list pod", self.why())

    def test_a_container_that_is_listed_late_is_waited_for(self):
        _, web, listed = self.new_pod()
        self.kubelet.late.append(listed)
        served, ms = ask(self.world, web)
        self.assertTrue(served)
        self.assertEqual(self.kubelet.requests, 3)
        self.assertGreater(ms, 300)  # two times poll_retry_interval, and a bit for rounding

    def test_a_kubelet_of_another_ca_or_without_our_token_tells_nothing(self):
        for change, text in (({"ca": self.other.root[0]}, "certificate"), ({"token": "another"}, "nodes/proxy")):
            with self.subTest(text):
                self.set_files(**change)
                _, web, listed = self.new_pod()
                self.kubelet.pods.append(listed)
                self.assertFalse(ask(self.world, web)[0])
                self.assertIn(text, self.why())
                time.sleep(REST_S)

    def test_a_kubelet_that_hangs_is_asked_again_later(self):
        _, web, listed = self.new_pod()
        self.kubelet.pods.append(listed)
        self.kubelet.mood = "hang"
        served, ms = ask(self.world, web)
        self.assertFalse(served)
        self.assertLess(ms, 3000)
        self.assertIn("no answer in time", self.why())
        self.kubelet.mood = ""
        time.sleep(REST_S)
        self.assertTrue(ask(self.world, web)[0])


if __name__ == "__main__":
    main()
