# SPDX-License-Identifier: Apache-2.0
"""writ run: a command under an identity of its own. Needs root, for cgroups and for users to play with."""
import base64
import json
import os
import re
import signal
import time
import unittest
from pathlib import Path

from kit.api import Api
from kit.proc import BIN, CLIENTS, IS_ROOT, wait_for
from kit.world import TD, Case, World, main

ALICE, BOB, SERVICE = 41001, 41002, 41003
CGROUPS = [p for p in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")) if (p / "cgroup.procs").exists()]
CAN = IS_ROOT and CGROUPS and os.access(CGROUPS[0] / "cgroup.procs", os.W_OK)
AS, RAW = "/agents/dev/foo", "/raw"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


@unittest.skipUnless(CAN, "writ run is tested as root, where cgroup v2 can be changed")
class Run(Case):
    agent_extra = f"""run {{ allow = [
		{{ uid = {ALICE}, prefix = "/agents/dev" }},
		{{ uid = {ALICE}, prefix = "/agents/team", children = true }},
		{{ uid = 0, prefix = "{RAW}" }},
	] }}"""

    @classmethod
    def prepare(cls):
        w = cls.world.start()
        for path in (AS, "/agents/team/x", "/agents/team/x/sub", "/agents/team/xy", "/agents/devil", RAW):
            w.entry(path[1:], f"run:as:{path}")
        cls.writ = w.tool("writ", BIN)
        wait_for(lambda: cls.run_as(AS, cls.writ, "svid", "fetch").returncode == 0, 10, "the first launch works")

    @classmethod
    def run_as(cls, path, *command, uid=ALICE, flags=(), **more):
        return cls.world.scene.run([cls.writ, "run", "-as", path, *flags, "--", *command], env=cls.world.endpoint, uid=uid,
                                   **more)

    def start_as(self, path, *command, uid=ALICE, flags=()):
        program = self.world.scene.start("run", [self.writ, "run", "-as", path, *flags, "--", *command],
                                         env=self.world.endpoint, uid=uid)
        return program

    def fetch(self):
        return [self.writ, "svid", "fetch", "-timeout", "5s", "-o", "json"]

    def script(self, name, text):
        path = self.world.dir / name
        path.write_text(text.replace("@WRIT@", str(self.writ)).replace("@DIR@", str(self.scratch())))
        path.chmod(0o755)
        return path

    def scratch(self):
        path = self.world.dir / "scratch"
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        return path

    def cell(self, pid):
        """The cgroup folder of a launched process."""
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            if line.startswith("0::/writ.run/"):
                return Path(str(CGROUPS[0]) + line[3:])
        return None

    # --- who gets it ---

    def test_the_command_gets_its_svid(self):
        done = self.run_as(AS, *self.fetch())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([s["spiffe_id"] for s in json.loads(done.stdout)["svids"]], [f"spiffe://{TD}{AS}"])

    def test_the_same_program_and_user_outside_gets_nothing(self):
        holder = self.start_as(AS, "sleep", "60")
        wait_for(lambda: holder.children().get("sleep"), 5, "the command runs")
        done = self.world.scene.run(self.fetch(), env=self.world.endpoint, uid=ALICE)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("no identity issued", done.stderr)
        holder.stop()

    def test_a_child_gets_nothing(self):
        for shell in ('"$@"; exit $?', 'sh -c \'"$@"; exit $?\' x "$@"; exit $?', '( ( "$@" ) ); exit $?'):
            with self.subTest(shell):
                done = self.run_as(AS, "sh", "-c", shell, "x", *self.fetch())
                self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
                self.assertIn("no identity issued", done.stderr)

    def test_a_program_that_the_command_becomes_is_the_command(self):
        done = self.run_as(AS, "sh", "-c", 'exec "$@"', "x", *self.fetch())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_children_get_it_where_that_is_asked_and_allowed(self):
        done = self.run_as("/agents/team/x", "sh", "-c", '"$@"; exit $?', "x", *self.fetch(), flags=["-children"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([s["spiffe_id"] for s in json.loads(done.stdout)["svids"]], [f"spiffe://{TD}/agents/team/x"])
        done = self.run_as(AS, "true", flags=["-children"])
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(f'run {{ allow = [ {{ uid = {ALICE}, prefix = "{AS}", children = true }} ] }}', done.stderr)

    def test_operators_see_what_a_launch_adds(self):
        env = {"WRIT_AGENT_ADMIN_SOCKET": str(self.world.dir / "agent" / "admin.sock")}

        def ask(*argv):
            done = self.world.scene.run([BIN / "writ", *argv, "-o", "json"], env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)
        holder = self.start_as(AS, "sh", "-c", "sleep 60 & wait")
        pids = wait_for(lambda: (lambda c: c if "sleep" in c else None)(holder.children()), 5, "the command and its child")
        [command], [child] = pids["sh"], pids["sleep"]
        answer = ask("explain", "--pid", str(command))
        self.assertEqual(answer["verdict"], "match")
        self.assertEqual({f["attestor"] for f in answer["found"] if f["selector"] == f"run:as:{AS}"}, {"writ run"})
        answer = ask("explain", "--pid", str(child))
        self.assertEqual(answer["verdict"], "no entry matches")
        self.assertTrue(any("writ run -children" in w for w in answer["withheld"]), answer["withheld"])
        # A child that was refused: its record says the same, of the very selector that is missing.
        done = self.run_as(AS, "sh", "-c", f"{self.writ} svid fetch; exit 0")
        [trace] = re.findall(r"\(trace ([0-9A-Z]{26})\)", done.stderr)
        [why] = [p["why"] for e in ask("explain", trace)["entries"] for p in e["parts"] if p["selector"] == f"run:as:{AS}"]
        self.assertIn("its launch means its command alone", why)
        answer = ask("entry", "preview", "-selector", f"run:as:{AS}")
        self.assertEqual([p["pid"] for p in answer["processes"]], [command])
        holder.stop()

    def test_a_launch_starts_launches_below_its_own_path_only(self):
        own = "/agents/team/x"
        # The command itself, and where children are meant those too.
        for flags, shell in ((), 'exec "$@"'), (["-children"], '"$@"; exit $?'):
            done = self.run_as(own, "sh", "-c", shell, "x", self.writ, "run", "-as", f"{own}/sub", "--", *self.fetch(),
                               flags=flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([s["spiffe_id"] for s in json.loads(done.stdout)["svids"]], [f"spiffe://{TD}{own}/sub"])
        for path in (own, AS, f"{own}y"):
            done = self.run_as(own, self.writ, "run", "-as", path, "--", *self.fetch())
            self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
            self.assertIn(f"it can start others only below that, as {own}/NAME", done.stderr)

    def test_a_child_that_is_not_meant_cannot_ask_for_a_launch(self):
        for path in (AS, f"{AS}/sub", "/agents/team/x"):
            done = self.run_as(AS, "sh", "-c", '"$@"; exit $?', "x", self.writ, "run", "-as", path, "--", *self.fetch())
            self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
            self.assertIn("was started by a command of writ run, and not meant by it", done.stderr)

    # --- who may ---

    def test_others_are_refused_with_the_line_that_would_allow_it(self):
        for uid, path, prefix in ((BOB, AS, AS), (ALICE, "/agents/devil", "/agents/devil"), (0, AS, AS)):
            with self.subTest(uid=uid, path=path):
                done = self.run_as(path, "true", uid=uid)
                self.assertEqual(done.returncode, 4, done.stderr)
                self.assertIn(f'run {{ allow = [ {{ uid = {uid}, prefix = "{prefix}" }} ] }}', done.stderr)

    def test_without_an_entry_the_text_says_which(self):
        done = self.run_as("/agents/dev/nobody", "true")
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn(f"writ entry create -parentID ... -spiffeID spiffe://{TD}/agents/dev/nobody "
                      "-selector run:as:/agents/dev/nobody", done.stderr)

    def test_paths_that_are_none_are_refused(self):
        for path, code in (("/agents/../x", 2), ("/agents/dev/", 2), ("/", 2), ("/spire/agent/x", 4), ("/agents//x", 2)):
            with self.subTest(path):
                self.assertEqual(self.run_as(path, "true").returncode, code)

    def test_a_whole_id_is_taken_when_it_is_of_this_trust_domain(self):
        done = self.run_as(f"spiffe://{TD}{AS}", "true")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.run_as(f"spiffe://other.example{AS}", "true")
        self.assertEqual((done.returncode, done.stderr),
                         (2, f"writ run: -as names the trust domain other.example, this machine's is {TD}\n"))

    def test_a_command_may_have_as_many_arguments_as_the_kernel_lets_it(self):
        done = self.run_as(AS, "sh", "-c", "echo $#", "sh", *map(str, range(5000)))
        self.assertEqual((done.returncode, done.stdout), (0, "5000\n"), done.stderr)

    def test_nobody_else_can_enter_the_cgroup(self):
        holder = self.start_as(AS, "sleep", "60")
        pid = wait_for(lambda: holder.children().get("sleep"), 5, "the command runs")[0]
        cell = wait_for(lambda: self.cell(pid), 5, "it is in its cgroup")
        for name in ("cgroup.procs", "cgroup.threads", "cgroup.kill"):
            done = self.world.scene.run(["sh", "-c", f"echo $$ >{cell / name}"], uid=ALICE)
            self.assertIn("Permission denied", done.stderr)
        done = self.world.scene.run(["mkdir", cell / "below"], uid=ALICE)
        self.assertIn("Permission denied", done.stderr)
        self.assertEqual((cell / "cgroup.procs").read_text().split(), [str(pid)])
        holder.stop()

    def test_raw_calls_get_no_further_than_the_cli(self):
        if not (CLIENTS / "bin" / "spire-client").exists():
            self.skipTest("the Go client is not there")
        api = Api()
        self.addCleanup(api.close)
        api.connect("a", f"unix://{self.world.socket}")
        holder = self.start_as(AS, "sleep", "60")
        sleeper = wait_for(lambda: holder.children().get("sleep"), 5, "the command runs")[0]

        def launch(pid, as_=RAW, meta=None):
            body = bytes([0x0a, len(as_)]) + as_.encode() + b"\x10" + varint(pid)
            return api.ask(op="raw", conn="a", method="/writ.run.v1.Run/Launch", body=base64.b64encode(body).decode(),
                           meta={"workload.spiffe.io": "true"} if meta is None else meta)

        self.assertEqual(launch(sleeper, meta={})["code"], "InvalidArgument")
        for pid in (sleeper, holder.pid, 1, 0, 2 ** 31 - 1, 2 ** 64 - 1, os.getpid(), api.process.pid):
            with self.subTest(pid):
                got = launch(pid)
                self.assertEqual(got["code"], "Unauthenticated", got)
        self.assertEqual(launch(sleeper, as_=AS)["code"], "PermissionDenied")
        self.assertTrue(alive(sleeper))
        holder.stop()

    # --- as if it were not there ---

    def test_exit_code_and_signals_are_passed_on(self):
        for shell, code in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
            with self.subTest(shell):
                self.assertEqual(self.run_as(AS, "sh", "-c", shell).returncode, code)
        for number, code in ((signal.SIGUSR1, 11), (signal.SIGINT, 12), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(number):
                p = self.start_as(AS, "sh", "-c", 'trap "exit 11" USR1; trap "exit 12" INT; echo ready; '
                                                  'while :; do sleep 0.02; done')
                p.wait_out("ready")
                os.kill(p.pid, number)
                self.assertEqual(p.wait_end(), code)

    def test_what_cannot_be_started_says_why(self):
        done = self.run_as(AS, "/no/such/program")
        self.assertEqual((done.returncode, "No such file" in done.stderr), (127, True), done.stderr)
        done = self.run_as(AS, "/etc/passwd")
        self.assertEqual((done.returncode, "Permission denied" in done.stderr), (126, True), done.stderr)

    def test_input_output_and_environment_are_the_commands_own(self):
        done = self.run_as(AS, "sh", "-c", "cat; echo $SPIFFE_ENDPOINT_SOCKET; echo problem >&2", stdin="hello\n")
        self.assertEqual(done.stdout, f"hello\nunix://{self.world.socket}\n")
        self.assertEqual(done.stderr, "problem\n")
        done = self.run_as(AS, "sh", "-c", "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status")
        self.assertIn("SigBlk:\t0000000000000000", done.stdout)

    # --- and its end ---

    def test_at_the_end_nothing_is_left(self):
        out = self.scratch() / "leftover"
        out.unlink(missing_ok=True)
        worker = self.script("worker", """#!/bin/sh
while :; do
	"@WRIT@" svid fetch -silent -timeout 1s && echo "got $(date +%s.%N)" >>"@DIR@/leftover"
done
""")
        main_ = self.script("main", f"""#!/bin/sh
setsid {worker} >/dev/null 2>&1 &
echo $! >"@DIR@/leftover.pid"
while ! [ -s "@DIR@/leftover" ]; do sleep 0.01; done
date +%s.%N >"@DIR@/end"
""")
        done = self.run_as("/agents/team/x", main_, flags=["-children"])
        self.assertEqual(done.returncode, 0, done.stderr)
        returned = time.time()
        end = float((self.scratch() / "end").read_text())
        pid = int((self.scratch() / "leftover.pid").read_text())
        self.assertFalse(alive(pid), "what the command left running has ended with it")
        time.sleep(0.3)
        last = max(float(x) for x in out.read_text().split()[1::2])
        self.assertLess(last, end + 0.1)
        self.assertLess(returned - end, 1.0)
        self.assert_nothing_left()

    def test_an_open_stream_of_a_child_ends_with_the_launch(self):
        p = self.start_as("/agents/team/x", "sh", "-c", f'"{self.writ}" svid watch & while :; do sleep 0.02; done',
                          flags=["-children"])
        p.wait_out(r"agents/team/x")
        command = wait_for(lambda: p.children().get("sh"), 5, "the command runs")[0]
        os.kill(command, signal.SIGKILL)
        self.assertEqual(p.wait_end(), 137)
        self.assert_nothing_left()

    def test_killing_the_cli_leaves_nothing(self):
        p = self.start_as("/agents/team/x", "sh", "-c", "sleep 600 & echo up; sleep 600; true", flags=["-children"])
        p.wait_out("up")
        pids = wait_for(lambda: (lambda c: c if len(c.get("sleep", [])) == 2 else None)(p.children()), 5, "all run")
        p.kill()
        for pid in [*pids["sh"], *pids["sleep"]]:
            wait_for(lambda pid=pid: not alive(pid), 2, "the command has ended")
        self.assert_nothing_left()

    def test_killing_the_agent_leaves_nothing(self):
        gentle = self.start_as(AS, "sh", "-c", 'trap "exit 3" TERM; echo up; while :; do sleep 0.02; done')
        stubborn = self.start_as(AS, "sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.02; done')
        gentle.wait_out("up")
        stubborn.wait_out("up")
        keeper = self.world.agent.run.children()["writ-run-keeper"][0]
        try:
            self.world.agent.run.kill()
            self.assertEqual(gentle.wait_end(2), 3, gentle.err)
            self.assertIn("the agent has ended this launch", gentle.err)
            self.assertEqual(stubborn.wait_end(5), 137)
            wait_for(lambda: not alive(keeper), 3, "the keeper has ended")
            self.assert_nothing_left()
        finally:
            self.world.agent.start()
        self.assertEqual(self.run_as(AS, *self.fetch()).returncode, 0)

    def test_killing_agent_and_keeper_is_mended_at_the_next_start(self):
        p = self.start_as(AS, "sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.02; done')
        p.wait_out("up")
        command = p.children()["sh"][0]
        cell = self.cell(command)
        keeper = self.world.agent.run.children()["writ-run-keeper"][0]
        os.kill(keeper, signal.SIGKILL)
        self.world.agent.run.kill()
        p.kill()
        self.assertTrue(cell.exists())
        self.world.agent.start()
        self.assertFalse(alive(command))
        self.assertFalse(cell.parent.exists())
        self.assertEqual(self.run_as(AS, *self.fetch()).returncode, 0)

    def assert_nothing_left(self):
        def empty():
            return not [c for a in (CGROUPS[0] / "writ.run").glob("*/") for c in a.glob("*/")
                        if ALICE in self.owners(c)]
        wait_for(empty, 3, "no cgroup of a launch is left")

    @staticmethod
    def owners(cell):
        found = set()
        try:
            for pid in (cell / "cgroup.procs").read_text().split():
                found.add(Path(f"/proc/{pid}").stat().st_uid)
        except OSError:
            pass
        return found


@unittest.skipUnless(CAN, "writ run is tested as root, where cgroup v2 can be changed")
class NotRoot(unittest.TestCase):
    """An agent as the shipped unit runs it, with and without the drop-in."""

    def world(self, *caps):
        w = World(agent_extra=Run.agent_extra)
        self.addCleanup(w.close)
        held = ",".join(["-all", *(f"+{c}" for c in caps)])
        w.agent.wrap = ["setpriv", "--reuid", str(SERVICE), "--regid", str(SERVICE), "--clear-groups",
                        "--inh-caps", held, "--ambient-caps", held, "--bounding-set", held]
        w.agent.program = w.tool("writ-agent", BIN)  # where that user may go
        w.server.start()
        w.bundle.write_text(w.writ("bundle", "show"))
        w.agent.data.mkdir(mode=0o700)
        token = w.dir / "token"
        token.write_text(w.token())
        token.chmod(0o600)
        for path in (w.agent.data, w.dir / "agent", w.dir / "public", token):
            os.chown(path, SERVICE, SERVICE)
        w.agent.start("-joinTokenFile", token)
        w.entry(AS[1:], f"run:as:{AS}")
        return w, w.tool("writ", BIN)

    def run_as(self, w, writ):
        return w.scene.run([writ, "run", "-as", AS, "--", writ, "svid", "fetch"], env=w.endpoint, uid=ALICE)

    def test_one_capability_is_enough(self):
        self.keeper_alone_has(1 << 1, "dac_override")

    def test_what_the_drop_in_gives_is_the_keepers_alone(self):
        self.keeper_alone_has(1 << 1 | 1 << 23, "dac_override", "sys_nice")

    def keeper_alone_has(self, mask, *caps):
        w, writ = self.world("sys_ptrace", "dac_read_search", *caps)
        wait_for(lambda: self.run_as(w, writ).returncode == 0, 10, "a launch works")
        keeper = w.agent.run.children()["writ-run-keeper"][0]
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{keeper}/status").read_text().splitlines())
        self.assertEqual([int(status[f"Cap{s}"], 16) for s in ("Prm", "Eff", "Inh", "Amb")], [mask, mask, 0, 0])
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"], status["Threads"]), ("1", "2", "1"))
        for name, pids in w.agent.run.children().items():
            for pid in pids if name != "writ-run-keeper" else []:
                caps = re.search(r"CapPrm:\t(\w+)", Path(f"/proc/{pid}/status").read_text())[1]
                self.assertFalse(int(caps, 16) & mask, f"{name} has what only the keeper needs")

    def test_without_it_the_text_says_what_to_do(self):
        w, writ = self.world("sys_ptrace", "dac_read_search")
        done = self.run_as(w, writ)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("this agent cannot make cgroups for commands", done.stderr)
        self.assertIn("writ-agent-run.conf", w.agent.run.err)


if __name__ == "__main__":
    main()
