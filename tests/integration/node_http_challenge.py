# SPDX-License-Identifier: Apache-2.0
"""Machines that prove their names by answering at them: http_challenge, end to end, and those who only say so."""
import http.server
import threading
import urllib.error
import urllib.request

from kit.net import free_port
from kit.proc import wait_for
from kit.world import AGENT_CONF, TD, Daemon, main, other_uid, path_selector
from node_attest import NodeCase

HOST = "127.0.0.2"
PATH = "/.well-known/spiffe/nodeattestor/http_challenge/default/challenge"
SERVER = f'NodeAttestor "http_challenge" {{ plugin_data {{ allowed_dns_patterns = ["127[.]0[.]0[.][23]"] %s }} }}'


def agent_conf(host, port, more=""):
    return f'NodeAttestor "http_challenge" {{ plugin_data {{ hostname = "{host}" port = {port} {more} }} }}'


class Elsewhere:
    """What else may answer at the port that an agent advertises; answer(handler) says how. Counts who asks."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                elsewhere.asked.append(self.path)
                answer(self)

            def log_message(self, *args):
                pass
        elsewhere, self.asked = self, []
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.3", 0), Handler)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()


def say(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class HttpChallenge(NodeCase):
    @classmethod
    def prepare(cls):
        cls.port = free_port()
        cls.launch(SERVER % "allow_local_addresses = true", agent_conf(HOST, cls.port))

    def test_1_the_node_is_known_by_its_name(self):
        node = self.node()
        self.assertEqual(node["id"]["path"], f"/spire/agent/http_challenge/{HOST}")
        self.assertEqual((node["attestation_type"], node.get("can_reattest", False)), ("http_challenge", False))
        self.assertEqual([f'{s["type"]}:{s["value"]}' for s in node["selectors"]], [f"http_challenge:hostname:{HOST}"])

    def test_2_entries_hang_below_an_alias_of_the_name(self):
        w, uid = self.world, other_uid(1)
        w.writ("entry", "create", "-node", "-spiffeID", f"spiffe://{TD}/web", "-selector", f"http_challenge:hostname:{HOST}")
        w.entry("agent/here", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), parent=f"spiffe://{TD}/web")
        wait_for(lambda: f"spiffe://{TD}/agent/here" in w.go("fetch", uid=uid).stdout.split(), 10, "the workload has an identity")

    def test_3_its_certificate_is_renewed_by_its_key(self):
        run = self.world.agent.run
        wait_for(lambda: "agent.renewed" in run.err, 15, "the agent renewed")
        self.assertEqual(run.err.count("agent.joined"), 1)

    def test_4_the_nonce_is_gone_when_the_attestation_is(self):
        with self.assertRaises(urllib.error.URLError) as refused:
            urllib.request.urlopen(f"http://{HOST}:{self.port}{PATH}", timeout=5)
        self.assertIsInstance(refused.exception.reason, ConnectionRefusedError)

    def test_5_a_second_agent_of_that_name_is_refused(self):
        self.refused("second", agent_conf(HOST, free_port()), "attestation data has already been used")
        self.refused("spelling", agent_conf("127.0.0.02", free_port()), "hostname is not valid")

    def test_6_who_does_not_answer_at_the_name_is_not_it(self):
        real = free_port()
        others = {
            "nobody": None,
            "another": lambda h: say(h, 200, b"A" * 43 + b"=\n"),
            "redirect": lambda h: say(h, 302, Location=f"http://127.0.0.3:{real}{PATH}"),
            "oversized": lambda h: say(h, 200, b"x" * (1 << 20)),
            "missing": lambda h: say(h, 404),
        }
        for name, answer in others.items():
            with self.subTest(name):
                where = Elsewhere(answer) if answer else None
                port = where.port if where else free_port()
                self.refused(name, agent_conf("127.0.0.3", real, f"advertised_port = {port}"), "challenge verification failed")
                if where:
                    self.assertEqual(set(where.asked), {PATH})
                    where.close()

    def test_7_names_that_are_not_allowed_are_not_asked(self):
        where = Elsewhere(lambda h: say(h, 200))
        more = f"advertised_port = {where.port}"
        self.refused("pattern", agent_conf("127.0.0.31", free_port(), more), "not allowed to connect")
        self.refused("localhost", agent_conf("localhost", free_port(), more), "you can not use localhost")
        self.assertEqual(where.asked, [])
        where.close()


    def test_8_an_agent_that_goes_away_meanwhile_harms_nobody(self):
        w, release = self.world, threading.Event()

        def hang(handler):
            release.wait(10)
            say(handler, 404)
        where = Elsewhere(hang)
        agent = Daemon(w.scene, "gone", "writ-agent", AGENT_CONF, server_port=w.port, socket=w.dir / "public" / "gone.sock",
                       admin=w.dir / "gone-admin" / "admin.sock", bundle=w.bundle,
                       attestors=agent_conf("127.0.0.3", free_port(), f"advertised_port = {where.port}"))
        run = agent.start(ready=False)
        wait_for(lambda: where.asked, 15, "the server asks")
        run.kill_session()
        before = w.server.run.err.count("attest.http_challenge_failed")
        release.set()
        wait_for(lambda: w.server.run.err.count("attest.http_challenge_failed") > before, 15, "the answer comes to nothing")
        where.close()
        self.assertTrue(w.server.run.is_alive() and w.server.is_ready())


class ThisMachine(NodeCase):
    @classmethod
    def prepare(cls):
        cls.world.server.conf.write_text(cls.world.server.conf.read_text().replace('NodeAttestor "join_token" { plugin_data {} }',
                                                                                   SERVER % ""))
        cls.world.start(agent=False)

    def test_an_address_of_the_servers_machine_is_not_asked(self):
        self.refused("local", agent_conf(HOST, free_port()), "challenge verification failed")
        self.assertIn("own machine or link", self.world.server.run.err)


if __name__ == "__main__":
    main()
