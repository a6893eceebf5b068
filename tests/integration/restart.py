# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each program: it comes back by itself or by a restart, with what it knew, and needs no new token."""
import os
import signal

from kit.net import Target
from kit.proc import BIN, wait_for
from kit.world import MINE, TD, Case, main, other_uid, path_selector

TOOL = f"spiffe://{TD}/tool/echo"
CALLER = f"spiffe://{TD}/agent/caller"


class Restart(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        cls.uid = other_uid(1)
        w.entry("agent/caller", f"unix:uid:{cls.uid}", path_selector(w.tool("spiffe-client")))
        w.entry("tool/echo", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"))
        cls.target = Target()
        cls.gate, cls.port = w.gate(cls.target.port, CALLER)

    @classmethod
    def tearDownClass(cls):
        cls.target.close()
        super().tearDownClass()

    def call(self):
        url = f"https://127.0.0.1:{self.port}/hello"
        return self.world.go("call", "-url", url, "-expect", TOOL, uid=self.uid)

    def must_work(self):
        done = self.call()
        self.assertEqual(done.returncode, 0, done.stderr)

    def fetch(self):
        return self.world.go("fetch", "-timeout", "5s", uid=self.uid)

    def kill_child(self, name):
        children = self.world.server.run.children()
        self.assertIn(name, children, children)
        for pid in children[name]:
            os.kill(pid, signal.SIGKILL)
        return children[name]

    def test_signer_killed_is_respawned_and_signs(self):
        old = self.kill_child("writ-signer")
        wait_for(lambda: set(self.world.server.run.children().get("writ-signer", [])) - set(old), 2, "a new signer")
        wait_for(lambda: self.world.writ("x509", "mint", "-spiffeID", f"spiffe://{TD}/minted", check=False).returncode
                 == 0, 2, "certificates are signed again")
        self.must_work()

    def test_server_killed_keeps_what_it_acknowledged(self):
        w = self.world
        entry = w.entry("kept", "unix:uid:1")
        bundle = w.writ("bundle", "show")
        w.server.run.kill_session()
        self.must_work()
        w.server.start()
        self.assertIn(entry, w.writ("entry", "show", "-entryID", entry))
        self.assertEqual(bundle, w.writ("bundle", "show"), "the CA's keys survive with KeyManager disk")
        new = w.entry("pushed", f"unix:uid:{self.uid}", path_selector(w.tool("spiffe-client")))
        wait_for(lambda: f"spiffe://{TD}/pushed" in self.fetch().stdout, 5, "the agent is in touch with the server again")
        w.writ("entry", "delete", "-entryID", new)

    def test_agent_killed_needs_no_token(self):
        w = self.world
        watch = w.scene.start("watch", [w.tool("spiffe-client"), "watch"], env=w.endpoint, uid=self.uid)
        watch.wait_out("^spiffe://")
        w.agent.run.kill()
        self.must_work_without_agent()
        w.agent.start()
        watch.wait_out("^spiffe://", 10, count=2)
        self.must_work()
        self.assertIn("1 attested agent", w.writ("agent", "list"))

    def must_work_without_agent(self):
        """The gate goes on with the SVID that it has."""
        self.assertTrue(self.gate.is_alive())

    def test_gate_killed_comes_back(self):
        cls = type(self)
        cls.gate.kill()
        cls.gate, cls.port = self.world.gate(self.target.port, CALLER, name="gate-again")
        self.must_work()

    def test_sigterm_ends_each_program_cleanly(self):
        w = self.world
        gate, _ = w.gate(self.target.port, CALLER, name="gate-term")
        self.assertEqual(gate.stop(), 0)
        self.assertEqual(w.agent.run.stop(), 0)
        self.assertEqual(w.server.run.stop(), 0)
        self.assertEqual(w.server.run.children(), {})
        w.server.start()
        w.agent.start()
        self.must_work()


if __name__ == "__main__":
    main()
