# SPDX-License-Identifier: Apache-2.0
"""What a container's runtime says decides who gets an identity: against a fake of Docker's API (kit/fake_docker.py), with
real cgroups and real processes in them. Outside of root, and without v1 and v2 cgroups, all is skipped."""
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from kit.fake_docker import FakeDocker, lacks
from kit.proc import BIN, wait_for
from kit.world import AGENT_CONF, JOIN_TOKEN, Case, main

CONTAINED = Path(__file__).resolve().parents[1] / "bars" / "contained.py"
REST_S = 2.2  # how long the agent leaves a failing runtime alone, and a bit


def ask(w, container=None):
    """(served?, milliseconds)"""
    procs = container.procs() if container else []
    done = subprocess.run([sys.executable, "-B", str(CONTAINED), str(w.socket), *map(str, procs)], capture_output=True,
                          text=True, timeout=30, check=False)
    verdict, ms = done.stdout.split()
    return verdict == "SERVED", float(ms)


@unittest.skipIf(lacks(), lacks())
class Runtimes(Case):
    @classmethod
    def prepare(cls):
        w = cls.world
        cls.docker = FakeDocker(w.dir / "docker.sock")
        attestors = JOIN_TOKEN + f"""
	WorkloadAttestor "docker" {{ plugin_data {{ docker_socket_path = "unix://{cls.docker.path}" }} }}"""
        w.agent.conf.write_text(AGENT_CONF.format(**{**w.agent.values, "attestors": attestors}))
        w.start()
        w.entry("web", "docker:label:app:web")

    @classmethod
    def tearDownClass(cls):
        cls.docker.close()
        super().tearDownClass()

    def setUp(self):
        self.docker.mood = ""

    def ask(self, container=None):
        return ask(self.world, container)

    def why(self):
        """The latest refusal, from the agent's log."""
        lines = [line for line in self.world.agent.run.err.splitlines() if "workload.denied" in line]
        return lines[-1] if lines else ""

    def test_a_label_is_the_containers_own(self):
        web, other = self.docker.container(app="web"), self.docker.container(app="db")
        self.assertTrue(self.ask(web)[0])
        self.assertFalse(self.ask(other)[0])
        self.assertFalse(self.ask()[0])

    def test_a_runtime_that_lies_is_not_believed(self):
        for mood, text in (("other id", "about another one"), ("other pid", "is elsewhere"), ("garbage", "not known"),
                           ("huge", "not known")):
            with self.subTest(mood):
                self.docker.mood = mood
                self.assertFalse(self.ask(self.docker.container(app="web"))[0])
                self.assertIn(text, self.why())

    def test_values_of_a_containers_variables_are_told_to_nobody(self):
        secret = f"s3cr3t-{os.urandom(8).hex()}"
        w, c = self.world, self.docker.container(app="secretive")
        c.env = [f"TOKEN={secret}", "MODE=test"]
        entry = w.entry("env", "docker:label:app:secretive", "docker:env:TOKEN=other", "docker:env:MODE=test")
        admin = {"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock")}

        def told(*argv):
            done = w.scene.run([BIN / "writ", *argv], env=admin)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        def refused():
            self.assertFalse(self.ask(c)[0])
            return "docker:env:TOKEN=(redacted)" in self.why()
        wait_for(refused, 5, "the entry has come, and what is known of the container is told by name")
        decision = json.loads(told("explain", "-denied", "-o", "json"))["decisions"][0]
        text = told("explain", decision["trace"]) + told("explain", decision["trace"], "-o", "json")
        self.assertIn(f"closest   entry {entry}", text)
        self.assertRegex(text, r"missing  docker:env:TOKEN=\(redacted\)    it has docker:env:TOKEN=\(redacted\)")
        self.assertRegex(text, r"docker:env:MODE=\(redacted\) +by docker")
        self.assertIn("redacted  ", text)
        sleeper = w.scene.start("contained", ["sleep", "60"])
        c.enter(sleeper.pid)
        text += told("explain", "--pid", sleeper.pid) + told("entry", "preview", "-selector", f"docker:env:TOKEN={secret}")
        self.assertIn("1 of ", text)
        text += w.agent.run.err + w.server.run.err
        self.assertNotIn(secret, text)
        w.writ("entry", "delete", "-entryID", entry)
        sleeper.kill()

    def test_a_container_that_the_runtime_does_not_know_gets_nothing(self):
        c = self.docker.container(app="web")
        del self.docker.containers[c.id]
        self.assertFalse(self.ask(c)[0])
        self.assertIn("there is no container", self.why())
        c.remove()

    def test_a_runtime_that_hangs_or_restarts_is_asked_again_later(self):
        web = self.docker.container(app="web")
        self.docker.mood = "hang"
        served, ms = self.ask(web)
        self.assertFalse(served)
        self.assertLess(ms, 3000)
        self.assertIn("no answer in time", self.why())
        self.docker.stop()
        time.sleep(REST_S)
        self.assertFalse(self.ask(web)[0])
        self.assertIn("No such file", self.why())
        self.docker.start()
        self.docker.mood = ""
        time.sleep(REST_S)
        self.assertTrue(self.ask(web)[0])


if __name__ == "__main__":
    main()
