# SPDX-License-Identifier: Apache-2.0
"""A server, an agent and a gate of our own, configured for tests, and the operator's commands."""
import json
import os
import shutil
import sys
import unittest

from .net import free_port, http_status
from .proc import BIN, CLIENTS, IN_CONTAINER, IS_ROOT, Failed, Scene, wait_for

TD = "example.org"
NODE = f"spiffe://{TD}/node"
SKIP = 77
MINE = os.geteuid()


def other_uid(n):
    """A user of its own for a workload, where we may choose it."""
    return 40000 + n if IS_ROOT else MINE


SERVER_CONF = """
server {{
	bind_address = "127.0.0.1"
	bind_port = "{port}"
	socket_path = "{socket}"
	trust_domain = "{td}"
	data_dir = "{data}"
	log_level = "DEBUG"
	log_format = "json"
	audit_log_file = "{audit}"
	{extra}
}}
plugins {{
	DataStore "sql" {{
		plugin_data {{ database_type = "sqlite3" }}
	}}
	KeyManager "disk" {{
		plugin_data {{ keys_path = "{data}/keys.json" }}
	}}
	{attestors}
}}
health_checks {{
	listener_enabled = true
	bind_address = "127.0.0.1"
	bind_port = "{health}"
}}
telemetry {{
	Prometheus {{ host = "127.0.0.1" port = {metrics} }}
}}
"""

AGENT_CONF = """
agent {{
	trust_domain = "{td}"
	server_address = "127.0.0.1"
	server_port = {server_port}
	socket_path = "{socket}"
	admin_socket_path = "{admin}"
	data_dir = "{data}"
	log_level = "DEBUG"
	log_format = "json"
	trust_bundle_path = "{bundle}"
	allow_foreign_namespaces = {in_container}
	{extra}
}}
plugins {{
	KeyManager "disk" {{
		plugin_data {{ directory = "{data}" }}
	}}
	{attestors}
	WorkloadAttestor "unix" {{
		plugin_data {{}}
	}}
	WorkloadAttestor "systemd" {{
		plugin_data {{}}
	}}
	WorkloadAttestor "cgroup" {{
		plugin_data {{}}
	}}
	WorkloadAttestor "container" {{
		plugin_data {{}}
	}}
}}
health_checks {{
	listener_enabled = true
	bind_address = "127.0.0.1"
	bind_port = "{health}"
}}
telemetry {{
	Prometheus {{ host = "127.0.0.1" port = {metrics} }}
}}
"""


JOIN_TOKEN = 'NodeAttestor "join_token" { plugin_data {} }'


class Daemon:
    """A program of ours with a configuration and a place for its data; can be stopped and started again."""

    def __init__(self, scene, name, program, template, **values):
        self.scene, self.name, self.program = scene, name, program
        self.health, self.metrics = free_port(), free_port()
        self.data = scene.dir / f"{name}-data"
        self.conf = scene.dir / f"{name}.conf"
        self.values = {"td": TD, "data": self.data, "health": self.health, "metrics": self.metrics, "extra": "",
                       "in_container": str(IN_CONTAINER).lower(),
                       "attestors": JOIN_TOKEN, **values}
        self.conf.write_text(template.format(**self.values))
        self.run, self.wrap, self.env = None, [], {}

    def start(self, *flags, ready=True, **more):
        more.setdefault("env", self.env)
        self.run = self.scene.start(self.name, [*self.wrap, BIN / self.program, "run", "-config", self.conf, *flags], **more)
        if ready:
            self.wait_ready()
        return self.run

    def is_ready(self):
        return http_status(f"http://127.0.0.1:{self.health}/ready") == 200

    def wait_ready(self, deadline_s=15):
        def look():
            if not self.run.is_alive():
                raise Failed(f"{self.name} ended with {self.run.popen.returncode}: {self.run.err[-2000:]}")
            return self.is_ready()
        wait_for(look, deadline_s, f"{self.name} is ready")


class World:
    """One trust domain on this machine."""

    def __init__(self, server_extra="", agent_extra=""):
        self.scene = Scene()
        d = self.dir = self.scene.dir
        for name in ("server", "agent", "public"):
            (d / name).mkdir(mode=0o755)
        self.port = free_port()
        self.admin_socket = d / "server" / "api.sock"
        self.socket = d / "public" / "api.sock"
        self.audit = d / "audit.log"
        self.bundle = d / "bundle.pem"
        self.server = Daemon(self.scene, "server", "writ-server", SERVER_CONF, port=self.port,
                             socket=self.admin_socket, audit=self.audit, extra=server_extra)
        self.agent = Daemon(self.scene, "agent", "writ-agent", AGENT_CONF, server_port=self.port, socket=self.socket,
                            admin=d / "agent" / "admin.sock", bundle=self.bundle, extra=agent_extra)
        self.endpoint = {"SPIFFE_ENDPOINT_SOCKET": f"unix://{self.socket}"}

    def writ(self, *argv, check=True, **more):
        """The CLI as operator; returns what it printed."""
        env = {"WRIT_SERVER_SOCKET": str(self.admin_socket), **self.endpoint}
        done = self.scene.run([BIN / "writ", *argv], env=env, **more)
        if check and done.returncode != 0:
            raise Failed(f"writ {' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done if not check else done.stdout

    def token(self, alias=NODE):
        answer = json.loads(self.writ("token", "generate", "-spiffeID", alias, "-o", "json"))
        return answer["value"]

    def start(self, agent=True):
        self.server.start()
        self.bundle.write_text(self.writ("bundle", "show"))
        if agent:
            self.join()
        return self

    def join(self):
        path = self.dir / "token"
        path.write_text(self.token())
        path.chmod(0o600)
        self.agent.start("-joinTokenFile", path)
        path.unlink(missing_ok=True)

    def entry(self, name, *selectors, ttl=None, parent=NODE, more=()):
        """Registers spiffe://TD/name; returns the entry's ID."""
        argv = ["entry", "create", "-parentID", parent, "-spiffeID", f"spiffe://{TD}/{name}", "-o", "json"]
        for s in selectors:
            argv += ["-selector", s]
        if ttl:
            argv += ["-x509SVIDTTL", ttl]
        return json.loads(self.writ(*argv, *more))["results"][0]["entry"]["id"]

    def gate(self, target, *allow, name="gate", flags=(), **more):
        """Starts a gate; returns the program and its port."""
        argv = [BIN / "writ-gate", "run", "-listen", "127.0.0.1:0", "-target", f"127.0.0.1:{target}"]
        for who in allow:
            argv += ["-allow", who]
        program = self.scene.start(name, [*argv, *flags], env=self.endpoint, **more)
        return program, int(program.wait_out(r"listening on port (\d+)", 15)[1])

    def tool(self, name, folder=CLIENTS / "bin"):
        """A copy of a program (one of the clients) that every user may run."""
        copy = self.dir / name
        if not copy.exists():
            shutil.copy(folder / name, copy)
            copy.chmod(0o755)
        return copy

    def go(self, *argv, uid=None, **more):
        return self.scene.run([self.tool("spiffe-client"), *argv], env=self.endpoint, uid=uid, **more)

    def py(self, *argv, **more):
        script = os.path.join(os.path.dirname(__file__), "..", "..", "clients", "py", "spiffe_client.py")
        return self.scene.run([CLIENTS / "venv" / "bin" / "python", "-B", os.path.abspath(script), *argv],
                              env=self.endpoint, **more)

    def py_argv(self, *argv):
        script = os.path.join(os.path.dirname(__file__), "..", "..", "clients", "py", "spiffe_client.py")
        return [CLIENTS / "venv" / "bin" / "python", "-B", os.path.abspath(script), *argv]

    def close(self):
        self.scene.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, what, trace):
        """Whatever went wrong, the daemons' logs say why."""
        if kind:
            self.scene.dump()
        self.close()


def path_selector(program):
    return f"unix:path:{os.path.realpath(program)}"


class Case(unittest.TestCase):
    """A scenario: one world for all its tests; all logs are printed when one of them fails."""
    world = None
    server_extra = agent_extra = ""
    failed = False

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.server_extra, cls.agent_extra)
        try:
            cls.prepare()
        except BaseException:
            cls.world.scene.dump()
            cls.world.close()
            raise

    @classmethod
    def prepare(cls):
        cls.world.start()

    @classmethod
    def tearDownClass(cls):
        if cls.failed:
            cls.world.scene.dump()
        cls.world.close()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).failed = True


def main():
    """Exit code: 0, 1, or what ctest takes for a skip when every test was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIP if result.testsRun and len(result.skipped) == result.testsRun else 0)
