# SPDX-License-Identifier: Apache-2.0
"""Machines that prove themselves without a token: x509pop and sshpop, end to end."""
import hashlib
import json
import ssl
import subprocess
import time

from kit.api import AGENT as API
from kit.api import Api, b64
from kit.net import openssl
from kit.proc import wait_for
from kit.world import AGENT_CONF, JOIN_TOKEN, TD, Case, Daemon, main, other_uid, path_selector

AGENT = f"spiffe://{TD}/spire/agent"


class Pki:
    """A CA of the operator's, one below it, and machines' certificates by either."""

    def __init__(self, folder, name):
        self.dir, self.name = folder, name
        folder.mkdir()
        self.root = self.cert("root", ca=True)
        self.below = self.cert("below", issuer=self.root, ca=True)

    def cert(self, name, issuer=None, ca=False, algorithm=("EC", "ec_paramgen_curve:P-256"), days=1, serial=None, san=""):
        cert, key, conf = (self.dir / f"{name}{end}" for end in (".pem", ".key", ".cnf"))
        usage = "critical,keyCertSign" if ca else "critical,digitalSignature"
        conf.write_text(f"""[req]
distinguished_name=dn
prompt=no
[dn]
CN={name}
[ext]
basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}
keyUsage={usage}
{san and 'subjectAltName=' + san}
""")
        openssl("genpkey", "-algorithm", algorithm[0], "-pkeyopt", algorithm[1], "-out", key)
        key.chmod(0o600)
        csr = openssl("req", "-new", "-key", key, "-config", conf)
        by = ["-CA", issuer[0], "-CAkey", issuer[1]] if issuer else ["-signkey", key]
        # A life of no days is over in the second it begins.
        openssl("x509", "-req", "-days", days, "-extfile", conf, "-extensions", "ext", *by, "-out", cert,
                "-set_serial", serial or int(time.time() * 1000), stdin=csr)
        return cert, key


def x509pop_agent(cert, key, more=""):
    return f'NodeAttestor "x509pop" {{ plugin_data {{ certificate_path = "{cert}" private_key_path = "{key}" {more} }} }}'


def fingerprint(cert):
    der = ssl.PEM_cert_to_DER_cert(cert.read_text().split("-----END")[0] + "-----END CERTIFICATE-----")
    return hashlib.sha1(der).hexdigest()


class NodeCase(Case):
    """What holds for every attestor whose agents can attest again. A subclass says node(): the agent's path below
    spiffe://TD/spire/agent; attestors for both sides; selectors that the node has."""
    server_extra = 'ca_ttl = "5m"\nagent_ttl = "10s"\nratelimit { attestation = false }\n'

    @classmethod
    def launch(cls, server, agent):
        w = cls.world
        for daemon, attestors in ((w.server, server), (w.agent, agent)):
            daemon.conf.write_text(daemon.conf.read_text().replace(JOIN_TOKEN, attestors))
        w.start(agent=False)
        w.agent.start()

    def nodes(self):
        return json.loads(self.world.writ("agent", "list", "-o", "json"))["agents"]

    def node(self):
        found = self.nodes()
        self.assertEqual(len(found), 1, found)
        return found[0]

    def serial(self):
        return self.node()["x509svid_serial_number"]

    def refused(self, name, attestors, text):
        """An agent with that proof is refused with this reason, in its own log and in the audit log, and is no node."""
        w = self.world
        before = len(self.nodes())
        agent = Daemon(w.scene, name, "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / f"{name}.sock",
                       admin=w.dir / f"{name}-admin" / "admin.sock", bundle=w.bundle, attestors=attestors)
        run = agent.start(ready=False)
        wait_for(lambda: [line for line in run.err.splitlines() if "agent.attest_refused" in line and text in line], 15,
                 f"{name} is told: {text}")
        wait_for(lambda: text in w.audit.read_text(), 5, "the reason is in the audit log")
        self.assertEqual(len(self.nodes()), before)
        run.kill_session()

    def comes_back(self, do):
        """After do() the agent is the same node with another certificate."""
        before = self.node()
        do()
        wait_for(lambda: len(self.nodes()) == 1 and self.serial() not in ("", before["x509svid_serial_number"]), 20,
                 "the agent attested again")
        self.assertEqual(self.node()["id"], before["id"])
        self.world.agent.wait_ready()


class X509pop(NodeCase):
    @classmethod
    def prepare(cls):
        cls.pki = pki = Pki(cls.world.dir / "pki", "machines")
        cls.stranger = Pki(cls.world.dir / "stranger", "stranger")
        cls.cert, cls.key = pki.cert("node-1", issuer=pki.below, serial=0xABCDE,
                                     san=f"URI:x509pop://{TD}/rack/r7,URI:x509pop://other.org/rack/r8")
        cls.ours = x509pop_agent(cls.cert, cls.key, f'intermediates_path = "{pki.below[0]}"')
        cls.launch(f'NodeAttestor "x509pop" {{ plugin_data {{ ca_bundle_path = "{pki.root[0]}" }} }}', cls.ours)

    def test_1_the_node_is_known_by_its_certificate(self):
        node = self.node()
        self.assertEqual(node["id"]["path"], f"/spire/agent/x509pop/{fingerprint(self.cert)}")
        self.assertEqual((node["attestation_type"], node["can_reattest"]), ("x509pop", True))
        self.assertEqual({f'{s["type"]}:{s["value"]}' for s in node["selectors"]}, {
            "x509pop:subject:cn:node-1", "x509pop:serialnumber:0abcde", "x509pop:san:rack:r7",
            f"x509pop:ca:fingerprint:{fingerprint(self.pki.root[0])}",
            f"x509pop:ca:fingerprint:{fingerprint(self.pki.below[0])}"})

    def test_2_entries_hang_below_an_alias_of_the_nodes_selectors(self):
        w, uid = self.world, other_uid(1)
        w.writ("entry", "create", "-node", "-spiffeID", f"spiffe://{TD}/rack/r7", "-selector", "x509pop:san:rack:r7")
        w.writ("entry", "create", "-node", "-spiffeID", f"spiffe://{TD}/rack/r8", "-selector", "x509pop:san:rack:r8")
        program = path_selector(w.tool("spiffe-client"))
        w.entry("agent/here", f"unix:uid:{uid}", program, parent=f"spiffe://{TD}/rack/r7")
        w.entry("agent/elsewhere", f"unix:uid:{uid}", program, parent=f"spiffe://{TD}/rack/r8")
        got = wait_for(lambda: w.go("fetch", uid=uid).stdout.split(), 10, "the workload has an identity")
        self.assertIn(f"spiffe://{TD}/agent/here", got)
        self.assertNotIn(f"spiffe://{TD}/agent/elsewhere", got)

    def test_3_it_attests_again_when_its_certificate_gets_old(self):
        self.comes_back(lambda: None)
        self.assertEqual(self.world.agent.run.err.count('agent.renewed'), 0)

    def test_4_it_attests_again_when_it_was_evicted_or_lost_its_key(self):
        w = self.world
        self.comes_back(lambda: w.writ("agent", "evict", "-spiffeID", self.node_id()))

        def lose():
            w.agent.run.kill_session()
            (w.agent.data / "agent-state.json").unlink()
            w.agent.start()
        self.comes_back(lose)

    def node_id(self):
        node = self.node()["id"]
        return f'spiffe://{node["trust_domain"]}{node["path"]}'

    def test_5_after_a_long_absence_the_old_key_is_no_proof_and_the_machine_is(self):
        w = self.world
        conf = w.agent.conf.read_text()

        def stay_away():
            w.agent.run.kill_session()
            wait_for(lambda: time.time() > int(self.node()["x509svid_expires_at"]) + 1, 15, "its SVID is over")
            w.agent.conf.write_text(conf.replace(self.ours, JOIN_TOKEN))
            run = w.agent.start(ready=False)
            wait_for(lambda: not run.is_alive(), 15, "the agent says that it needs a token")
            self.assertIn("the server no longer takes this agent's identity", run.err)
            self.assertIn("the agent has to attest again", w.audit.read_text())
            w.agent.conf.write_text(conf)
            w.agent.start()
        self.comes_back(stay_away)

    def test_6_other_machines_are_refused_with_the_reason(self):
        below = f'intermediates_path = "{self.pki.below[0]}"'
        other = self.pki.cert("node-2", issuer=self.pki.below)
        late = self.pki.cert("late", issuer=self.pki.below, days=0)
        foreign = self.stranger.cert("node-1", issuer=self.stranger.root)
        self.refused("late", x509pop_agent(*late, below), "expired at")
        self.refused("foreign", x509pop_agent(*foreign), "certificate verification failed")
        self.refused("incomplete", x509pop_agent(*other), "certificate verification failed")

    def test_6_strangers_are_told_what_is_wrong_with_what_they_sent(self):
        w = self.world
        api = Api()
        api.connect("any", f"127.0.0.1:{w.port}")
        csr = api.must(op="key", key="some")["csr"]
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())
        seen = json.dumps({"certificates": [b64(der)]}).encode()
        table = [
            (b"x" * 60_000, (), "InvalidArgument", "an attestation payload of 60000 bytes, at most 57344 are taken"),
            (b"{}", (), "InvalidArgument", "no certificate to attest"),
            (seen, (b"{}",), "InvalidArgument", "neither"),
            (seen, (b"x" * 5000,), "InvalidArgument", "a challenge response of 5000 bytes"),
        ]
        before = self.serial()
        for payload, answers, code, text in table:
            first = {"params": {"data": {"type": "x509pop", "payload": b64(payload)}, "params": {"csr": csr}}}
            got = api.call("any", API + "AttestAgent", first, *({"challenge_response": b64(a)} for a in answers))
            self.assertEqual(got["code"], code, got)
            self.assertIn(text, got["message"])
        api.close()
        self.assertEqual(self.serial(), before)

    def test_7_an_rsa_key_of_any_usual_size_will_do(self):
        w = self.world
        cert, key = self.pki.cert("rsa", issuer=self.pki.root, algorithm=("RSA", "rsa_keygen_bits:3072"))
        agent = Daemon(w.scene, "rsa", "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / "rsa.sock",
                       admin=w.dir / "rsa-admin" / "admin.sock", bundle=w.bundle, attestors=x509pop_agent(cert, key))
        agent.start().kill_session()
        path = f"/spire/agent/x509pop/{fingerprint(cert)}"
        self.assertIn(path, [n["id"]["path"] for n in self.nodes()])
        w.writ("agent", "evict", "-spiffeID", f"spiffe://{TD}{path}")

    def test_8_a_banned_one_stays_out(self):
        w = self.world
        w.writ("agent", "ban", "-spiffeID", self.node_id())
        wait_for(lambda: not w.agent.run.is_alive(), 15, "the agent has ended")
        run = w.agent.start(ready=False)
        wait_for(lambda: not run.is_alive(), 15, "it is refused again")
        self.assertIn("this agent is banned", run.err)
        self.assertTrue(self.node()["banned"])


class Sshpop(NodeCase):
    @classmethod
    def prepare(cls):
        cls.dir = d = cls.world.dir
        for ca in ("ca", "stranger"):
            cls.keygen(ca)
        cls.ours = cls.host("host", "ca")
        cls.launch(f"""NodeAttestor "sshpop" {{ plugin_data {{
            cert_authorities = [ "{(d / 'ca.pub').read_text().strip()}" ]
            canonical_domain = "example.org"
            agent_path_template = "/{{{{ .PluginName }}}}/{{{{ .Hostname }}}}" }} }}""", cls.ours)

    @classmethod
    def keygen(cls, name, kind="ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", cls.dir / name], check=True)

    @classmethod
    def host(cls, name, ca, *flags, kind="ecdsa", usage=("-h",)):
        cls.keygen(name, kind)
        subprocess.run(["ssh-keygen", "-q", "-s", cls.dir / ca, "-I", name, "-n", f"{name}.example.org", *usage, *flags,
                        cls.dir / f"{name}.pub"], check=True)
        return cls.by(name, name)

    @classmethod
    def by(cls, key, cert):
        return (f'NodeAttestor "sshpop" {{ plugin_data {{ host_key_path = "{cls.dir / key}" '
                f'host_cert_path = "{cls.dir / cert}-cert.pub" }} }}')

    def test_1_the_node_is_known_by_its_host_name(self):
        node = self.node()
        self.assertEqual(node["id"]["path"], "/spire/agent/sshpop/host")
        self.assertEqual((node["attestation_type"], node["can_reattest"]), ("sshpop", True))

    def test_2_it_comes_back_by_itself(self):
        w = self.world
        self.comes_back(lambda: None)
        self.comes_back(lambda: w.writ("agent", "evict", "-spiffeID", f"{AGENT}/sshpop/host"))

    def test_3_other_machines_are_refused_with_the_reason(self):
        self.refused("foreign", self.host("foreign", "stranger"), "not among cert_authorities")
        self.refused("late", self.host("late", "ca", "-V", "-2h:-1h"), "expired at")
        self.refused("user", self.host("user", "ca", usage=()), "not a host's certificate")

    def test_4_a_certificate_without_its_key_is_not_even_sent(self):
        w = self.world
        self.keygen("other")
        agent = Daemon(w.scene, "other", "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / "other.sock",
                       admin=w.dir / "other-admin" / "admin.sock", bundle=w.bundle, attestors=self.by("other", "host"))
        run = agent.start(ready=False)
        wait_for(lambda: "host_cert_path and host_key_path do not belong together" in run.err, 15, "it says what is wrong")
        run.kill_session()

    def test_5_rsa_and_ed25519_will_do(self):
        w = self.world
        for kind in ("rsa", "ed25519"):
            attestor = self.host(kind, "ca", kind=kind)
            agent = Daemon(w.scene, kind, "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / f"{kind}.sock",
                           admin=w.dir / f"{kind}-admin" / "admin.sock", bundle=w.bundle, attestors=attestor)
            agent.start().kill_session()
            self.assertIn(f"/spire/agent/sshpop/{kind}", [n["id"]["path"] for n in self.nodes()])
            w.writ("agent", "evict", "-spiffeID", f"{AGENT}/sshpop/{kind}")


if __name__ == "__main__":
    main()
