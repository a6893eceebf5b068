# SPDX-License-Identifier: Apache-2.0
"""Machines that Kubernetes vouches for: k8s_psat, end to end, with a fake of the API server."""
import json
import time

from kit.fake_kube import FakeKube, projected_token
from kit.proc import wait_for
from kit.world import AGENT_CONF, TD, Daemon, main, other_uid, path_selector
from node_attest import NodeCase, Pki

NODE_UID = "5dbb7b21-65fe-11e9-b1b0-0800277ac80f"
POD_UID = "79261129-6b60-11e9-9054-0800277ac80f"
SERVER = """NodeAttestor "k8s_psat" {{ plugin_data {{ clusters = {{
    "prod" = {{
        service_account_allow_list = ["spire:spire-agent"]
        kube_config_file = "{kubeconfig}"
        allowed_node_label_keys = ["zone"]
        allowed_pod_label_keys = ["app"]
    }}
    "pods" = {{
        service_account_allow_list = ["spire:spire-agent"]
        kube_config_file = "{kubeconfig}"
        use_pod_uid_for_agent_id = true
    }}
    "mitm" = {{
        service_account_allow_list = ["spire:spire-agent"]
        kube_config_file = "{mitm}"
    }}
}} }} }}"""


def agent_conf(path, cluster="prod"):
    return f'NodeAttestor "k8s_psat" {{ plugin_data {{ cluster = "{cluster}" token_path = "{path}" }} }}'


class K8sPsat(NodeCase):
    @classmethod
    def prepare(cls):
        d = cls.world.dir
        cls.pki, other = Pki(d / "pki", "kube"), Pki(d / "other", "other")
        cert, key = cls.pki.cert("api", issuer=cls.pki.root, san="IP:127.0.0.1")
        cls.fake = FakeKube(cert, key, "reviewers-own-token")
        cls.fake.nodes["worker-1"] = {"kind": "Node", "metadata": {"name": "worker-1", "uid": NODE_UID,
                                                                   "labels": {"zone": "a", "secret": "x"}}}
        cls.tokens = []
        cls.good = cls.pod("agent-1", POD_UID, labels={"app": "spire", "other": "y"})
        cls.launch(SERVER.format(kubeconfig=cls.kubeconfig("kubeconfig.json", cls.pki.root[0]),
                                 mitm=cls.kubeconfig("mitm.json", other.root[0])), agent_conf(cls.good))

    @classmethod
    def tearDownClass(cls):
        cls.fake.close()
        super().tearDownClass()

    @classmethod
    def kubeconfig(cls, name, ca):
        path = cls.world.dir / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": f"https://127.0.0.1:{cls.fake.port}", "certificate-authority": str(ca)}}],
            "users": [{"name": "u", "user": {"token": cls.fake.bearer}}]}))
        path.chmod(0o600)
        return path

    @classmethod
    def token_file(cls, name, token):
        path = cls.world.dir / f"{name}.token"
        path.write_text(token)
        cls.tokens.append(token)
        return path

    @classmethod
    def pod(cls, name, uid, labels=None, known=True, **token):
        """A pod with a token in a file."""
        text = projected_token(name, **token.pop("claims", {}))
        cls.fake.pods[("spire", name)] = {
            "kind": "Pod", "metadata": {"name": name, "uid": uid, "labels": labels or {}},
            "spec": {"nodeName": "worker-1"}, "status": {"hostIP": "10.0.0.7"}}
        if known:
            cls.fake.tokens[text] = {"namespace": "spire", "account": "spire-agent", "pod": name, "uid": uid,
                                     "audiences": ["spire-server"], **token}
        return cls.token_file(name, text)

    def test_1_the_node_is_known_by_what_kubernetes_says(self):
        node = self.node()
        self.assertEqual(node["id"]["path"], f"/spire/agent/k8s_psat/prod/{NODE_UID}")
        self.assertEqual((node["attestation_type"], node["can_reattest"]), ("k8s_psat", True))
        self.assertEqual({f'{s["type"]}:{s["value"]}' for s in node["selectors"]}, {"k8s_psat:" + s for s in (
            "cluster:prod", "agent_ns:spire", "agent_sa:spire-agent", "agent_pod_name:agent-1", f"agent_pod_uid:{POD_UID}",
            "agent_node_ip:10.0.0.7", "agent_node_name:worker-1", f"agent_node_uid:{NODE_UID}", "agent_node_label:zone:a",
            "agent_pod_label:app:spire")})

    def test_2_entries_hang_below_an_alias_of_the_nodes_selectors(self):
        w, uid = self.world, other_uid(1)
        w.writ("entry", "create", "-node", "-spiffeID", f"spiffe://{TD}/zone/a", "-selector", "k8s_psat:agent_node_label:zone:a")
        w.entry("agent/here", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), parent=f"spiffe://{TD}/zone/a")
        wait_for(lambda: f"spiffe://{TD}/agent/here" in w.go("fetch", uid=uid).stdout.split(), 10, "the workload has an identity")

    def test_3_it_attests_again_by_itself(self):
        self.comes_back(lambda: None)

    def test_4_it_attests_again_with_the_token_that_is_there_then(self):
        def rotate():
            fresh = projected_token("agent-1", jti="2")
            self.fake.tokens[fresh] = self.fake.tokens.pop(self.good.read_text())
            self.good.write_text(fresh + "\n")
            self.tokens.append(fresh)
        self.comes_back(rotate)

    def test_5_tokens_that_do_not_hold_are_refused_with_the_reason(self):
        rows = {
            "unknown": (self.pod("unknown", "u-1", known=False), "token not authenticated"),
            "expired": (self.pod("expired", "u-2", claims={"exp": int(time.time()) - 5}), "the token expired at"),
            "audience": (self.pod("audience", "u-3", audiences=["https://kubernetes.default.svc"]), "token not authenticated"),
            "account": (self.pod("account", "u-4", account="default"), "is not an allowed service account"),
            "replaced": (self.pod("replaced", "u-5"), "pod UID mismatch"),
            "no-token": (self.token_file("no-token", "just text"), "the token is no JWT"),
        }
        self.fake.pods[("spire", "replaced")]["metadata"]["uid"] = "u-6"
        for name, (path, text) in rows.items():
            with self.subTest(name):
                self.refused(name, agent_conf(path), text)
        self.refused("cluster", agent_conf(self.good, "elsewhere"), 'not configured for cluster \\"elsewhere\\"')

    def refused_for_now(self, name, attestors, text):
        """Not the agent's fault: it is told so, and tries again."""
        w = self.world
        agent = Daemon(w.scene, name, "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / f"{name}.sock",
                       admin=w.dir / f"{name}-admin" / "admin.sock", bundle=w.bundle, attestors=attestors)
        run = agent.start(ready=False)
        wait_for(lambda: text in run.err and text in w.audit.read_text(), 15, f"{name} is told: {text}")
        run.kill_session()

    def test_6_an_api_server_that_is_another_one_gets_no_token(self):
        before = len(self.fake.asked)
        path = self.pod("mitm", "u-7")
        self.refused_for_now("mitm", agent_conf(path, "mitm"), "gave no usable answer")
        wait_for(lambda: "does not hold for 127.0.0.1" in self.world.server.run.err, 5, "the server's log has the reason")
        self.assertEqual(self.fake.asked[before:].count("/api/v1/namespaces/spire/pods/mitm"), 0)

    def test_7_pods_of_one_node_may_be_agents_of_their_own(self):
        w = self.world
        agent = Daemon(w.scene, "pods", "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / "pods.sock",
                       admin=w.dir / "pods-admin" / "admin.sock", bundle=w.bundle, attestors=agent_conf(self.pod("agent-2", "u-8"), "pods"))
        agent.start().kill_session()
        self.assertIn("/spire/agent/k8s_psat/pods/pod/u-8", [n["id"]["path"] for n in self.nodes()])

    def test_8_no_token_is_in_a_log(self):
        w = self.world
        logs = w.audit.read_text() + "".join(p.read_text(errors="replace") for p in w.dir.rglob("*.err")) + w.server.run.err + w.agent.run.err
        for secret in [*self.tokens, self.fake.bearer]:
            self.assertNotIn(secret, logs)


if __name__ == "__main__":
    main()
