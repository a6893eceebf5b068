# SPDX-License-Identifier: Apache-2.0
"""Files in the shape that SPIRE's users have, and SPIRE's names of flags, start our programs and work."""
import re
import stat
import unittest

from kit.net import free_port
from kit.proc import BIN, IN_CONTAINER, Scene, wait_for
from kit.world import MINE, World, main

# The keys of SPIRE's sample files, with its spelling and its habit of quoting numbers.
SERVER = """server {{
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{dir}/server.sock"
    trust_domain = "example.org"
    data_dir = "{dir}/sdata"
    log_level = "DEBUG"
    ca_ttl = "1h"
    default_x509_svid_ttl = "10m"
    default_jwt_svid_ttl = "5m"
    ca_subject = {{
        country = ["US"],
        organization = ["SPIFFE"],
        common_name = "",
    }}
}}

plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{dir}/sdata/datastore.sqlite3"
        }}
    }}

    NodeAttestor "join_token" {{
        plugin_data {{
        }}
    }}

    KeyManager "memory" {{
        plugin_data = {{}}
    }}

    UpstreamAuthority "disk" {{
        plugin_data {{
            key_file_path = "{dir}/upstream.key"
            cert_file_path = "{dir}/upstream.pem"
        }}
    }}
}}
"""

AGENT = """agent {{
    data_dir = "{dir}/adata"
    log_level = "DEBUG"
    server_address = "127.0.0.1"
    server_port = "{port}"
    socket_path = "{dir}/pub/agent.sock"
    trust_bundle_path = "{dir}/upstream.pem"
    trust_domain = "example.org"
}}

plugins {{
    NodeAttestor "join_token" {{
        plugin_data {{
        }}
    }}
    KeyManager "disk" {{
        plugin_data {{
            directory = "{dir}/adata"
        }}
    }}
    WorkloadAttestor "unix" {{
        plugin_data {{
        }}
    }}
}}
"""


class SpireConf(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.dir = self.scene.dir
        self.port = free_port()
        (self.dir / "pub").mkdir()
        from kit.net import self_made
        cert, key = self_made(self.dir, "upstream", "spiffe://example.org", ca=True)
        self.assertTrue(cert.exists())
        # As a checkout of SPIRE's samples has it.
        key.chmod(0o644)
        (self.dir / "server.conf").write_text(SERVER.format(dir=self.dir, port=self.port))
        more = "agent {\n    allow_foreign_namespaces = true" if IN_CONTAINER else "agent {"
        (self.dir / "agent.conf").write_text(AGENT.format(dir=self.dir, port=self.port).replace("agent {", more, 1))

    def tearDown(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            self.scene.dump()
        self.scene.close()

    def writ(self, *argv):
        done = self.scene.run([BIN / "writ", *argv])
        self.assertEqual(done.returncode, 0, f"{argv}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_token_entry_and_fetch_with_spires_flags(self):
        sock = self.dir / "server.sock"
        server = self.scene.start("server", [BIN / "writ-server", "run", "-config", self.dir / "server.conf"])
        wait_for(lambda: self.scene.run([BIN / "writ", "healthcheck", "-socketPath", sock]).returncode == 0, 15,
                 "writ healthcheck says that the server is healthy")
        out = self.writ("token", "generate", "-socketPath", sock, "-spiffeID", "spiffe://example.org/myagent")
        token = re.search(r"^Token: (\S+)$", out, re.M)[1]
        self.scene.start("agent", [BIN / "writ-agent", "run", "-config", self.dir / "agent.conf", "-joinToken", token])
        out = self.writ("entry", "create", "-socketPath", sock, "-parentID", "spiffe://example.org/myagent", "-spiffeID",
                        "spiffe://example.org/myservice", "-selector", f"unix:uid:{MINE}", "-x509SVIDTTL", "300",
                        "-dns", "myservice", "-hint", "internal")
        self.assertRegex(out, r"(?m)^Entry ID +: \S+$")
        self.assertRegex(out, r"(?m)^SPIFFE ID +: spiffe://example.org/myservice$")
        env = {"SPIFFE_ENDPOINT_SOCKET": f"unix://{self.dir}/pub/agent.sock"}
        fetched = self.scene.run([World.tool(self, "spiffe-client"), "fetch", "-timeout", "15s"], env=env)
        self.assertRegex(fetched.stdout, r"^spiffe://example.org/myservice ", fetched.stderr)
        self.assertRegex(self.writ("entry", "show", "-socketPath", sock), r"Found 2 entries")
        self.assertRegex(self.writ("agent", "list", "-socketPath", sock), r"(?m)^Attestation type +: join_token$")
        self.assertRegex(self.writ("bundle", "show", "-socketPath", sock), r"BEGIN CERTIFICATE")
        self.assertTrue((self.dir / "sdata" / "datastore.sqlite3").is_file(), "connection_string")
        self.assertIn("key.readable_by_all", server.err)

    def test_keys_are_beside_keys_path(self):
        conf = (self.dir / "server.conf").read_text()
        conf = conf.replace('KeyManager "memory" {\n        plugin_data = {}',
                            f'KeyManager "disk" {{\n        plugin_data = {{ keys_path = "{self.dir}/elsewhere/ca.json" }}')
        (self.dir / "server.conf").write_text(conf)
        self.scene.start("server", [BIN / "writ-server", "run", "-config", self.dir / "server.conf"])
        wait_for(lambda: list((self.dir / "elsewhere" / "ca").glob("*.pem")), 15, "a key in the folder that keys_path names")
        self.assertEqual(stat.S_IMODE((self.dir / "elsewhere" / "ca").stat().st_mode), 0o700)

    def test_start_that_fails_leaves_nothing(self):
        for what, text in (("key", "nonsense"), ("pem", "nonsense")):
            path = self.dir / f"upstream.{what}"
            kept = path.read_text()
            path.write_text(text)
            done = self.scene.run([BIN / "writ-server", "run", "-config", self.dir / "server.conf"])
            path.write_text(kept)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("_file_path", done.stderr)
            self.assertFalse((self.dir / "sdata").exists())
            self.assertFalse((self.dir / "server.sock").exists())

    def test_validate_accepts_both_files(self):
        for program, conf in (("writ-server", "server.conf"), ("writ-agent", "agent.conf")):
            done = self.scene.run([BIN / program, "validate", "-config", self.dir / conf])
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    main()
