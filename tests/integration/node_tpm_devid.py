# SPDX-License-Identifier: Apache-2.0
"""Machines that their TPMs vouch for: tpm_devid, end to end, with TPMs in software (swtpm)."""
import unittest

from kit import swtpm
from kit.proc import wait_for
from kit.world import AGENT_CONF, TD, Daemon, main, other_uid, path_selector
from node_attest import NodeCase, Pki, fingerprint


def agent_conf(tpm, keys, cert, more=""):
    return (f'NodeAttestor "tpm_devid" {{ plugin_data {{ devid_cert_path = "{cert}" devid_pub_path = "{keys[0]}" '
            f'devid_priv_path = "{keys[1]}" tpm_tcti = "{tpm.tcti}" {more} }} }}')


@unittest.skipIf(swtpm.missing, f"not installed: {swtpm.missing}")
class TpmDevid(NodeCase):
    @classmethod
    def prepare(cls):
        w, d = cls.world, cls.world.dir
        cls.pki, cls.stranger = Pki(d / "pki", "devid"), Pki(d / "stranger", "stranger")
        cls.tpm = swtpm.SwTpm(w.scene, "tpm", d / "maker")
        cls.keys = cls.tpm.devid("node-1")
        cls.cert = cls.tpm.certify("node-1", cls.pki.below)
        cls.cert.write_text(cls.cert.read_text() + cls.pki.below[0].read_text())
        cls.launch(f'NodeAttestor "tpm_devid" {{ plugin_data {{ devid_ca_path = "{cls.pki.root[0]}" '
                   f'endorsement_ca_path = "{cls.tpm.maker_cas}" }} }}', agent_conf(cls.tpm, cls.keys, cls.cert))

    def test_1_the_node_is_known_by_its_devid(self):
        node = self.node()
        self.assertEqual(node["id"]["path"], f"/spire/agent/tpm_devid/{fingerprint(self.cert)}")
        self.assertEqual((node["attestation_type"], node["can_reattest"]), ("tpm_devid", True))
        self.assertEqual({f'{s["type"]}:{s["value"]}' for s in node["selectors"]}, {
            "tpm_devid:subject:cn:node-1", "tpm_devid:issuer:cn:below",
            f"tpm_devid:ca:fingerprint:{fingerprint(self.pki.root[0])}",
            f"tpm_devid:ca:fingerprint:{fingerprint(self.pki.below[0])}"})

    def test_2_entries_hang_below_an_alias_of_the_nodes_selectors(self):
        w, uid = self.world, other_uid(1)
        w.writ("entry", "create", "-node", "-spiffeID", f"spiffe://{TD}/tpm", "-selector", "tpm_devid:issuer:cn:below")
        w.entry("agent/here", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), parent=f"spiffe://{TD}/tpm")
        wait_for(lambda: f"spiffe://{TD}/agent/here" in w.go("fetch", uid=uid).stdout.split(), 10, "the workload has an identity")

    def test_3_it_attests_again_by_itself(self):
        self.comes_back(lambda: None)

    def other(self, name, algorithm, more="", **how):
        """An agent with a DevID key of another kind joins."""
        w = self.world
        keys = self.tpm.devid(name, algorithm, **how)
        cert = self.tpm.certify(name, self.pki.root)
        agent = Daemon(w.scene, name, "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / f"{name}.sock",
                       admin=w.dir / f"{name}-admin" / "admin.sock", bundle=w.bundle, attestors=agent_conf(self.tpm, keys, cert, more))
        agent.start().kill_session()
        self.tpm.flush()
        path = f"/spire/agent/tpm_devid/{fingerprint(cert)}"
        self.assertIn(path, [n["id"]["path"] for n in self.nodes()])
        w.writ("agent", "evict", "-spiffeID", f"spiffe://{TD}{path}")

    def test_4_keys_of_each_kind_will_do(self):
        self.world.agent.run.stop()  # this TPM has room for one user
        # One with a password, and one below the storage root key for elliptic curves.
        self.other("secret", "rsa2048:rsassa-sha256:null", 'devid_password = "open sesame"', password="open sesame")
        self.tpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc256:null:aes128cfb", "-g", "sha256", "-c", "srk-ecc.ctx",
                      "-a", "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda")
        self.tpm.flush()
        self.other("curve", "ecc256:ecdsa-sha256:null", parent="srk-ecc.ctx")

    def test_5_what_does_not_hold_is_refused_with_the_reason(self):
        tpm, root = self.tpm, self.pki.root
        late, foreign, swapped = (tpm.devid(n) for n in ("late", "foreign", "swapped"))
        loose = tpm.devid("loose", attributes="sensitivedataorigin|userwithauth|sign")
        rows = {
            "late": (late, tpm.certify("late", root, days=0), "expired at"),
            "foreign": (foreign, tpm.certify("foreign", self.stranger.root), "unable to verify DevID signature"),
            # A certificate of another key of the same TPM.
            "swapped": (swapped, tpm.certify("swapped", root, public=tpm.dir / "node-1.pem"), "its key is not the one in the TPM"),
            # A key that may leave the TPM.
            "loose": (loose, tpm.certify("loose", root), "proves nothing"),
        }
        for name, (keys, cert, text) in rows.items():
            with self.subTest(name):
                self.refused(name, agent_conf(tpm, keys, cert), text)
                tpm.flush()

    def test_6_a_tpm_of_another_maker_is_refused(self):
        tpm = swtpm.SwTpm(self.world.scene, "tpm-2", self.world.dir / "maker-2")
        keys = tpm.devid("node-2")
        cert = tpm.certify("node-2", self.pki.root)
        self.refused("maker", agent_conf(tpm, keys, cert), "cannot verify EK signature")
        tpm.flush()
        # And the first machine's key does not load there: the agent's log says so.
        w = self.world
        agent = Daemon(w.scene, "moved", "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / "moved.sock",
                       admin=w.dir / "moved-admin" / "admin.sock", bundle=w.bundle, attestors=agent_conf(tpm, self.keys, self.cert))
        run = agent.start(ready=False)
        wait_for(lambda: "load the DevID key (is it of this TPM" in run.err, 15, "the agent says what is wrong")
        run.kill_session()


if __name__ == "__main__":
    main()
