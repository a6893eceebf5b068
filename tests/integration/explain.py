# SPDX-License-Identifier: Apache-2.0
"""What an operator learns of a refusal, and what the refused process does not: writ explain, writ entry preview."""
import json
import os
import re
import shutil
import unittest

from kit.proc import BIN, IS_ROOT, wait_for
from kit.world import MINE, TD, Case, main, other_uid

FOREIGN = f"spiffe://{TD}/foreign/"
SOON_S = 15  # what takes milliseconds on an idle machine
PATIENCE = "15s"  # of the workload's command: a refusal is what counts, and a busy machine takes seconds


class Explain(Case):
    @classmethod
    def prepare(cls):
        w = cls.world.start()
        cls.uid = other_uid(1)
        cls.tool = w.dir / "workload"
        shutil.copy(BIN / "writ", cls.tool)
        cls.tool.chmod(0o755)
        cls.agent_admin = {"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock"),
                           "WRIT_SERVER_SOCKET": str(w.admin_socket)}
        for n in range(5):
            w.entry(f"foreign/{n}", f"unix:uid:{50000 + n}", "unix:path:/opt/foreign/agent")

    def operator(self, *argv, code=0, **more):
        done = self.world.scene.run([BIN / "writ", *argv], env=self.agent_admin, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def asked(self, *argv):
        return json.loads(self.operator(*argv, "-o", "json"))

    def fetch(self, program=None, uid=None):
        return self.world.scene.run([program or self.tool, "svid", "fetch", "-timeout", PATIENCE], env=self.world.endpoint,
                                    uid=uid or self.uid)

    def refuse(self, program=None):
        """A refused call: its output and its trace number."""
        done = self.fetch(program)
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        return done.stdout + done.stderr, re.search(r"\(trace ([0-9A-Z]{26})\)", done.stderr)[1]

    def test_a_refusal_is_explained_and_mended(self):
        entry = self.world.entry("mended", f"unix:uid:{self.uid}", "unix:path:/opt/research/bin/agent")
        try:
            _, trace = self.refuse()
            text = self.operator("explain", trace)
            self.assertIn(f"closest   entry {entry}  spiffe://{TD}/mended   1 of 2 selectors", text)
            self.assertRegex(text, r"missing  unix:path:/opt/research/bin/agent    it has unix:path:\S+/workload\n")
            self.assertRegex(text, rf"ok       unix:uid:{self.uid}\n")
            self.assertIn("now       no entry matches\n", text)
            fix = re.search(r"^fix       (.*)$", text, re.M)[1]
            self.assertEqual(fix, self.asked("explain", trace)["fix"])
            self.assertIn("\n          it changes that entry: what has its identity now, and does not match then, loses it\n", text)
            done = self.world.scene.run(["sh", "-c", fix], env={**self.agent_admin, "PATH": f"{BIN}:{os.environ['PATH']}"})
            self.assertEqual(done.returncode, 0, done.stderr)
            wait_for(lambda: self.asked("explain", trace)["verdict"] == "match", SOON_S, "the mended entry matches")
            text = self.operator("explain", trace[:24].lower())
            self.assertRegex(text, rf"match     entry {entry} ")
            self.assertNotRegex(text, "(?m)^fix")
            done = wait_for(lambda: (lambda d: d if d.returncode == 0 else None)(self.fetch()), SOON_S, "an identity")
            self.assertIn(f"spiffe://{TD}/mended", done.stdout)
            shown = self.world.writ("entry", "show", "-entryID", entry)
            self.assertIn(f"spiffe://{TD}/mended", shown)
            granted = self.asked("explain")["decisions"][0]
            self.assertTrue(granted["granted"])
            self.assertEqual(granted["entries"], [f"{entry} spiffe://{TD}/mended"])
        finally:
            self.world.writ("entry", "delete", "-entryID", entry)

    def test_a_process_is_explained_by_its_number(self):
        sleeper = self.world.scene.start("sleeper", ["sleep", "60"], uid=self.uid)
        answer = self.asked("explain", "--pid", sleeper.pid)
        self.assertEqual(answer["process"]["uid"], self.uid)
        self.assertIn({"selector": f"unix:uid:{self.uid}", "attestor": "unix", "redacted": False}, answer["found"])
        self.assertEqual(answer["verdict"], "no entry matches")
        self.assertIn(f"-selector unix:uid:{self.uid}", answer["fix"])
        entry = self.world.entry("sleeper", f"unix:uid:{self.uid}")
        wait_for(lambda: self.asked("explain", "--pid", sleeper.pid)["verdict"] == "match", SOON_S, "match")
        self.world.writ("entry", "delete", "-entryID", entry)
        sleeper.kill()
        self.operator("explain", "--pid", sleeper.pid, code=3)

    def test_a_workload_learns_nothing_of_other_entries(self):
        for _ in range(3):
            text, _ = self.refuse()
            self.assertIn("no identity issued", text)
            self.assertIn(f"uid {self.uid}", text)
            self.assertRegex(text, "next: ask an operator of this machine to run: writ explain [0-9A-Z]{26}")
            for word in (FOREIGN, "5000", "/opt/foreign", "spiffe://"):
                self.assertNotIn(word, text)

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_only_operators_may_ask(self):
        for argv in (["explain"], ["explain", "--pid", "1"], ["entry", "preview", "-selector", "unix:uid:0"]):
            done = self.world.scene.run([self.tool, *argv], env=self.agent_admin, uid=self.uid)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertNotIn(FOREIGN, done.stdout + done.stderr)
        # And the socket of workloads does not know the service.
        done = self.world.scene.run([self.tool, "explain", "-adminSocketPath", self.world.socket], uid=self.uid)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Unimplemented", done.stderr)

    def test_names_that_would_forge_lines_stay_one_line(self):
        before = len(self.lines())
        for name in ("a\n{\"level\":\"info\",\"msg\":\"forged\"}", "b\x1b[2Jforged", "c\",\"msg\":\"forged", os.fsdecode(b"d\xff\xfe")):
            program = self.world.dir / name
            shutil.copy(BIN / "writ", program)
            program.chmod(0o755)
            _, trace = self.refuse(program)
            line = wait_for(lambda t=trace: self.line_of(t), SOON_S, "the line of the log")
            self.assertEqual(line["msg"], "workload.denied")
            text = self.operator("explain", trace)
            self.assertNotIn("\x1b", text)
            self.assertNotRegex(text, r"(?m)^\{")
            program.unlink()
        for line in self.lines()[before:]:
            self.assertNotEqual(json.loads(line)["msg"], "forged")

    def lines(self):
        """Whole lines only: the last one may be on its way."""
        return self.world.agent.run.err.rpartition("\n")[0].splitlines()

    def line_of(self, trace):
        for line in self.lines():
            if trace in line:
                return json.loads(line)
        return None

    def test_a_decision_is_one_line_with_all_that_is_known(self):
        _, trace = self.refuse()
        line = wait_for(lambda: self.line_of(trace), SOON_S, "the line of the log")
        self.assertEqual(sum(trace in text for text in self.lines()), 1)
        for key in ("pid", "uid", "gid", "start_time", "binary", "cgroup", "selectors_digest", "identities", "reason", "took_us",
                    "selectors", "method"):
            self.assertIn(key, line)
        self.assertEqual(line["binary"], os.path.realpath(self.tool))
        digest = self.asked("explain", trace)["decision"]["selectors_digest"]
        self.assertEqual(digest, line["selectors_digest"])

    @unittest.skipUnless(IS_ROOT, "needs other users")
    def test_a_flood_of_one_user_hides_nobody_elses_refusal(self):
        flooder, stop = other_uid(7), self.world.dir / "enough"
        script = f"""n=0
while [ ! -e {stop} ]; do
	{self.tool} svid fetch -timeout {PATIENCE} >/dev/null 2>&1 &
	n=$((n + 1))
	[ $((n % 8)) != 0 ] || wait
done
wait
echo $n"""
        flood = self.world.scene.start("flood", ["sh", "-c", script], uid=flooder, env=self.world.endpoint)

        def told(what):
            return [json.loads(t) for t in self.lines() if what in t and f'"uid":{flooder}' in t]
        # As many as it takes: a slow machine makes fewer a second than another one, and the quota grows by one a second.
        wait_for(lambda: told("workload.left_out"), 60, "lines are left out")
        _, trace = self.refuse()
        self.assertIsNotNone(wait_for(lambda: self.line_of(trace), SOON_S, "the line of the log"))
        stop.touch()
        self.assertEqual(flood.wait_end(60), 0)
        # The last ones that were left out are said some seconds later.
        wait_for(lambda: len(told("workload.denied")) + sum(s["denied"] + s["denied_gone"] for s in told("workload.left_out"))
                 == int(flood.out), 15, "each refusal is in a line, or counted as left out")

    def test_planted_secrets_are_nowhere(self):
        """In variables, arguments and folders' contents of a process that is refused and asked about in every way."""
        secrets = [f"s3cr3t-{os.urandom(6).hex()}" for _ in range(10)]
        env = {**self.world.endpoint, **{f"TOKEN_{n}": s for n, s in enumerate(secrets[:5])}}
        done = self.world.scene.run([self.tool, "svid", "fetch", "-timeout", PATIENCE, "-svid", f"spiffe://{TD}/{secrets[5]}"], env=env,
                                    uid=self.uid)
        trace = re.search(r"\(trace ([0-9A-Z]{26})\)", done.stderr)[1]
        sleeper = self.world.scene.start("planted", ["sh", "-c", f"sleep 60; : {' '.join(secrets[6:])}"], uid=self.uid, env=env)
        # An entry with such a value: told by its name only, and the server's own list is not asked.
        entry = self.world.entry("planted", f"unix:uid:{self.uid}", f"docker:env:TOKEN={secrets[0]}", f"docker:env:{secrets[1]}")
        wait_for(lambda: any(e["id"] == entry for e in self.asked("explain", trace, "-max", "1000")["entries"]), SOON_S, "the entry")
        told = ""
        for form in ("table", "json"):
            for argv in (["explain"], ["explain", trace, "-all"], ["explain", "--pid", sleeper.pid, "-all"],
                         ["explain", "-selector", f"docker:env:TOKEN={secrets[0]}", "-selector", f"unix:uid:{self.uid}"],
                         ["entry", "preview", "-selector", f"unix:uid:{self.uid}"]):
                told += self.operator(*argv, "-o", form)
            told += self.world.scene.run([BIN / "writ", "doctor", "-o", form], env={**self.agent_admin, **env}).stdout
        self.assertIn("docker:env:TOKEN=(redacted)", told)
        self.assertIn("docker:env:(redacted)", told)
        told += self.world.agent.run.err + self.world.server.run.err
        self.assertEqual([s for s in secrets if s in told], [])
        sleeper.kill_session()
        self.world.writ("entry", "delete", "-entryID", entry)

    def test_preview_lists_who_would_match(self):
        program = self.world.dir / "sleeper"  # of our own: others may run this test at the same time
        shutil.copy(shutil.which("sleep"), program)
        sleepers = [self.world.scene.start("preview", [program, "60"], uid=other_uid(9)) for _ in range(3)]
        asked = ["entry", "preview", "-selector", f"unix:uid:{other_uid(9)}", "-selector",
                 f"unix:path:{os.path.realpath(program)}"]
        if IS_ROOT:
            answer = self.asked(*asked)
            self.assertEqual(sorted(p["pid"] for p in answer["processes"]), sorted(s.pid for s in sleepers))
            self.assertIn("3 of ", self.operator(*asked))
        self.assertIn("did you mean 'unix:user'?", self.operator("entry", "preview", "-selector", "unix:usr:x"))
        before = self.world.writ("entry", "count")
        self.operator(*asked)
        self.assertEqual(self.world.writ("entry", "count"), before)
        for s in sleepers:
            s.kill()

    def test_selectors_alone_are_explained(self):
        text = self.operator("explain", "-selector", "unix:uid:50003", "-all")
        self.assertRegex(text, r"missing  unix:path:\S+    it has none of this kind\n")
        answer = self.asked("explain", "-selector", "unix:uid:50003", "-selector", "unix:path:/opt/foreign/agent")
        self.assertEqual(answer["verdict"], "match")
        self.assertEqual(answer["entries"][0]["spiffe_id"], f"{FOREIGN}3")

    def test_an_entry_is_changed_in_part(self):
        entry = self.world.entry("partly", f"unix:uid:{MINE + 777}", ttl=3600, more=("-hint", "h", "-dns", "a.example"))
        self.world.writ("entry", "update", "-entryID", entry, "-selector", "unix:uid:88", "-selector", "unix:gid:88")
        shown = json.loads(self.world.writ("entry", "show", "-entryID", entry, "-o", "json"))["entries"][0]
        self.assertEqual([s["value"] for s in shown["selectors"]], ["gid:88", "uid:88"])
        self.assertEqual((shown["x509_svid_ttl"], shown["hint"], shown["dns_names"]), (3600, "h", ["a.example"]))
        done = self.world.writ("entry", "update", "-entryID", entry, check=False)
        self.assertEqual(done.returncode, 2)
        self.world.writ("entry", "delete", "-entryID", entry)


if __name__ == "__main__":
    main()
