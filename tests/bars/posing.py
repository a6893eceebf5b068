# SPDX-License-Identifier: Apache-2.0
"""The attacks of pose.c, as a table, and what it takes to run them: shared by bar 41 and its short form in CI.

Each row says which attack of docs/attacks.md it is, how often the bar runs it, and how CI does."""
import json
import os
import pwd
import shutil
import subprocess
import time
from collections import namedtuple
from pathlib import Path

from kit.proc import BIN, IS_ROOT
from kit.world import TD, other_uid

PROGRAMS = BIN.parent / "bars"
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")

# attack: its name in pose.c; short: tries in CI; stall: ms that the agent is stopped; wanted: whose identity is sought;
# needs: what must be there, see Posing.lacks
Row = namedtuple("Row", "what attack tries short jobs stall helper wanted needs", defaults=(4, 0, "", "trusted", ""))

ROWS = [
    Row("without a trick", "other", 100, 5),
    Row("A1", "r1", 200, 5, 1, needs="pids"),
    Row("A1, asked before", "r1-queued", 200, 5, 1, needs="pids"),
    Row("A2", "r2", 50, 10, 1, 5000, needs="pids stop"),
    Row("A3", "r3", 1000, 20),
    Row("A3, memory shared", "r3-shared-memory", 1000, 10),
    Row("A4, 0-3 ms", "r4", 1000, 20, 100),
    Row("A4, the child answers", "r4-child-answers", 1000, 20, 100),
    Row("A4, by another thread", "r4-thread", 1000, 20, 100),
    Row("A4, answered till then", "r4-answers", 1000, 20, 100),
    Row("A4, after the PING", "r4-after-ping", 1000, 20, 100),
    Row("A4, before accept", "r4-stopped", 1000, 5, 4, 5, needs="stop"),
    Row("A4, at any moment", "r4-stopped-later", 1000, 5, 4, 5, needs="stop"),
    Row("A5, su, child asks", "setuid-child-asks", 1000, 10, 4, 0, "su", "rooted", "root su"),
    Row("A5, su, asked before", "setuid-after-asking", 1000, 10, 8, 0, "su", "rooted", "root su"),
    Row("A5, newgrp", "setuid-after-asking", 1000, 10, 8, 0, "newgrp", "rooted", "root newgrp"),
    Row("A5, sudo, child asks", "setuid-child-asks", 1000, 10, 4, 0, "sudo", "rooted", "root sudo"),
    Row("A5, sudo, asked before", "setuid-after-asking", 1000, 10, 8, 0, "sudo", "rooted", "root sudo"),
    Row("A5, R5", "setuid-drops", 1000, 10, 100, 0, "roots", "stepdown", "setuid"),
    Row("A5, R5, it answers", "setuid-drops-and-answers", 1000, 10, 100, 0, "roots", "stepdown", "setuid"),
    Row("A5, R5, slow agent", "setuid-drops-stopped", 1000, 12, 8, 5, "roots", "stepdown", "setuid stop"),
    Row("A5, R5, a user's", "setuid-drops", 1000, 10, 100, 0, "users", "stepdown", "setuid"),
    Row("A5, R5, a user's, it answers", "setuid-drops-and-answers", 1000, 10, 100, 0, "users", "stepdown", "setuid"),
    Row("A5, R5, a user's, slow agent", "setuid-drops-stopped", 1000, 12, 8, 5, "users", "stepdown", "setuid stop"),
    Row("A6", "ways-to-write", 1000, 21),
    Row("A6, child", "child", 1000, 10),
    Row("A6, by io_uring", "ring", 200, 5, 50, needs="uring"),
    Row("A7", "mm-map", 200, 5, needs="userns"),
    # By the path alone it is served, as any program is that the attacker may start: docs/attacks.md. So it waits for the
    # other identity in vain, six seconds each.
    Row("A7, shared memory", "mm-map-shared", 200, 5, 100, 0, "", "theirs", "userns root"),
    Row("A7, no namespace", "mm-map-without-namespace", 200, 5),
    Row("A8", "bind-mount", 200, 5, needs="userns"),
    Row("A9, in memory", "memory-file", 200, 5),
    Row("A9, deleted", "deleted-file", 200, 5, 1, 0, "deleted", "deleted", "root"),
    Row("A10", "leader-exits", 200, 6, 4, 0, "", "leader", "root"),
    Row("A13", "passed", 1000, 10),
    Row("A13, it lives on", "lent", 1000, 10),
    Row("A14", "forged", 1000, 10),
    Row("A14, in a namespace", "forged-in-namespace", 200, 5, needs="userns"),
    Row("A15, 10^5 descriptors", "rights-flood", 1, 1, 1),
    Row("A16", "namespace-root", 200, 5, 4, 0, "", "rooted", "userns root"),
    Row("A20", "leave-root", 1000, 10, 4, 0, "", "rooted", "root"),
    Row("A23", "zombie", 1000, 10),
    Row("A23, before accept", "zombie-stopped", 200, 5, 1, 5, needs="stop"),
    Row("exec'ed child", "forked-child", 1000, 10),
    Row("exec'ed grandchild", "grandchild", 1000, 10),
    Row("exec", "execed", 1000, 10),
    Row("exec with a stream", "execed-with-open-stream", 200, 4, 8),
    Row("exec, anew", "anew", 200, 5),
    Row("exec and back", "return", 200, 5, 8),
    Row("exec and back, fixed", "return-fixed", 200, 5, 8),
    Row("exec and back, slow", "return-stopped", 200, 5, 1, 5, needs="stop"),
    Row("child of a stream", "child-of-open-stream", 200, 5),
    Row("pid had again", "reused", 200, 5, 1, needs="pids"),
    Row("pid had, stream", "reused-open", 200, 5, 1, needs="pids"),
]


# In these the attacker has an identity of his own, so that he is sent a PING before he is anybody else.
OWN = ("r4-answers", "r4-after-ping", "setuid-drops-and-answers")

HASH_ROW = Row("T42, new programs", "new-binary", 10000, 200, 4, 0, "folder", "hashed", "root")


class Honest:
    """The trusted program, asking again and again by new connections of one process."""

    def __init__(self, posing, uid, pause_ms=20, wanted="trusted"):
        self.program = posing.w.scene.start("honest", [posing.trusted, "ask", posing.w.socket, posing.id(wanted), pause_ms],
                                            uid=uid)

    def stop(self):
        """(calls, served, milliseconds of each)"""
        self.program.stop()
        lines = [line.split() for line in self.program.out.splitlines()]
        return len(lines), sum(got == "S" for got, _ in lines), [int(us) / 1000 for _, us in lines]


class Posing:
    """A world, the trusted program with its entry, and the attacker."""

    def __init__(self, world):
        self.w = world
        self.uid, self.honest_uid = other_uid(3), other_uid(4)
        self.trusted = self.pose = None
        self.stepdowns = {}

    def make_old(self):
        """The agent will find what Linux 6.1 has: no SO_PEERPIDFD, no SO_PASSRIGHTS, no PIDFD_GET_INFO."""
        self.w.agent.wrap = [self.w.tool("faults", PROGRAMS), "-old"]

    def prepare(self, honest=True):
        w = self.w
        w.start()
        self.trusted, self.pose = w.tool("trusted", PROGRAMS), w.tool("pose", PROGRAMS)
        self.enter(honest)

    def enter(self, honest):
        w = self.w
        # The path alone: an entry as SPIRE's users write it.
        w.entry("trusted", f"unix:path:{self.trusted}")
        if IS_ROOT:
            w.entry("theirs", f"unix:path:{self.trusted}", f"unix:uid:{self.honest_uid}")
            w.entry("rooted", "unix:uid:0")
            w.entry("own", f"unix:uid:{other_uid(7)}")
            w.entry("leader", f"unix:uid:{other_uid(5)}")
            # A file of that very name is there, as for an entry that somebody made by hand.
            self.deleted = w.dir / "app (deleted)"
            self.deleted.write_bytes(b"")
            w.entry("deleted", f"unix:path:{self.deleted}")
            self.enter_stepdown()
        assert not honest or self.ask_once(self.honest_uid) == "S", "the trusted program is not served: " + self.w.agent.run.err[-2000:]

    def enter_stepdown(self):
        """Set-user-ID programs of root's and of another user's, and all that somebody could be taken for by them."""
        w, owners = self.w, {"roots": 0, "users": other_uid(6)}
        w.entry("stepdown/root", "unix:uid:0")
        w.entry("stepdown/user", f"unix:uid:{owners['users']}")
        for whose, uid in owners.items():
            program = self.stepdowns[whose] = w.dir / f"{whose}-stepdown"
            shutil.copy(PROGRAMS / "stepdown", program)
            os.chown(program, uid, uid)
            program.chmod(0o4755)
            w.entry(f"stepdown/{whose}", f"unix:path:{program}")
            w.entry(f"stepdown/{whose}/both", f"unix:path:{self.trusted}", f"unix:uid:{uid}")

    def id(self, name):
        return f"spiffe://{TD}/{name}"

    def ask_once(self, uid, wanted="trusted"):
        return self.w.scene.run([self.trusted, "ask", self.w.socket, self.id(wanted)], uid=uid).stdout[:1]

    def agents(self):
        """All processes of the agent."""
        found = [self.w.agent.run.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.agents())

    def settle(self, before, seconds=5):
        """How many descriptors the agent has more than before, once what is under way is over."""
        end = time.monotonic() + seconds
        while self.descriptors() > before and time.monotonic() < end:
            time.sleep(0.05)
        return self.descriptors() - before

    def lacks(self, row):
        """Why a row cannot be run here; "" when it can."""
        checks = {
            "root": (IS_ROOT, "needs root"),
            "pids": (IS_ROOT and os.access(LAST_PID, os.W_OK), "needs root, to choose process IDs"),
            "stop": (True, ""),
            "setuid": (IS_ROOT and self.setuid_counts(), "needs root, and a set-user-ID program that has its owner's rights"),
            "userns": (self.can_unshare(), "unprivileged user namespaces are off here"),
            "uring": (not Path("/proc/sys/kernel/io_uring_disabled").exists()
                      or Path("/proc/sys/kernel/io_uring_disabled").read_text().strip() == "0", "io_uring is off here"),
        }
        for need in row.needs.split():
            good, why = checks.get(need) or (self.program(need) is not None, f"there is no set-user-ID {need} here")
            if not good:
                return why
        return ""

    def setuid_counts(self):
        """Not on a file system mounted nosuid, nor for who has set no_new_privs."""
        status = Path("/proc/self/status").read_text()
        return not os.statvfs(self.w.dir).f_flag & os.ST_NOSUID and "NoNewPrivs:\t0" in status

    def can_unshare(self):
        return self.w.scene.run(["unshare", "--user", "--map-root-user", "true"], uid=self.uid).returncode == 0

    @staticmethod
    def program(name):
        for folder in ("/usr/bin", "/bin"):
            path = Path(folder) / name
            if path.exists() and path.stat().st_mode & 0o4000:
                return str(path)
        return None

    def attacker(self, row):
        """Whom nobody knows, newgrp and sudo leave at once; a user of Debian's is asked for a password."""
        if row.helper in ("su", "newgrp", "sudo"):
            return pwd.getpwnam("games").pw_uid
        if row.attack in OWN and IS_ROOT:
            return other_uid(7)
        return other_uid(5) if row.wanted == "leader" else self.uid

    def attack(self, row, tries, stall=None, uid=None, argv=(), wait_ms=6000):
        """wait_ms: how long an attacker waits for an answer. What came of it: {"tries": .., "served": .., "refused": .., "silent": .., "unready": ..}, and seconds."""
        helpers = {"deleted": lambda: str(self.deleted), "folder": lambda: str(self.w.dir), "": lambda: ""}
        helper = self.stepdowns.get(row.helper) or helpers.get(row.helper, lambda: self.program(row.helper))()
        uid = uid or self.attacker(row)
        stall = row.stall if stall is None else stall
        begin = time.monotonic()
        done = subprocess.run([str(a) for a in (*argv, self.pose, row.attack, self.w.socket, self.trusted, self.id(row.wanted),
                                                uid, tries, row.jobs, stall, helper, *self.agents())],
                              capture_output=True, text=True, timeout=3600, check=False, cwd=self.w.dir,
                              env={"PATH": "/usr/bin:/bin", "POSE_WAIT_MS": str(wait_ms)})
        if done.returncode != 0:
            raise AssertionError(f"{row.attack}: {done.returncode}: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        result["seconds"] = time.monotonic() - begin
        result["why"] = done.stderr.splitlines()[0] if done.stderr else ""
        return result

