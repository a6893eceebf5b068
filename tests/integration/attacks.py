# SPDX-License-Identifier: Apache-2.0
"""The attacks of docs/attacks.md, a few times each: nobody poses as another program, and honest callers are served.

Once as the machine is, once with what Linux 6.1 has, and once while each system call that the agent makes to learn who asks
fails."""
import errno
import os
import sys
import unittest
from pathlib import Path

from kit.proc import IS_ROOT
from kit.world import Case, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bars"))
from faulty import NEEDED, Faults, errors_of, sequence, try_fault  # noqa: E402
from posing import ROWS, Honest, Posing  # noqa: E402

STALL_MS, WAIT_MS = 100, 800  # the bar's are longer


class Attacks(Case):
    rows = ROWS

    @classmethod
    def prepare(cls):
        cls.posing = Posing(cls.world)
        cls.posing.prepare()

    def test_nobody_poses_as_another(self):
        if not IS_ROOT:
            print("not root: attacks that need other users or process IDs are left out")
        p = self.posing
        for row in self.rows:
            with self.subTest(row.what):
                why = p.lacks(row)
                if why:
                    print(f"{row.what}: left out: {why}")
                    continue
                self.run_row(p, row)

    def run_row(self, p, row):
        before = p.descriptors()
        honest = Honest(p, p.honest_uid)
        honest.program.wait_out("^S ")
        got = p.attack(row, row.short, min(row.stall, STALL_MS), wait_ms=WAIT_MS)
        calls, served, _ = honest.stop()
        print(f"{row.what}: {got}, honest {served} of {calls}", flush=True)
        self.assertEqual(got["served"], 0)
        # Some need a process ID that anything else on the machine may take first.
        self.assertGreaterEqual(2 * (got["tries"] - got["unready"]), row.short, got["why"])
        self.assertGreaterEqual(got["tries"], row.short)
        self.assertEqual(served, calls)
        self.assertLessEqual(p.settle(before), 0)
        self.assertTrue(p.w.agent.run.is_alive())


class AttacksOnAnOldKernel(Attacks):
    # Those in which it matters what the kernel says of a socket's peer.
    rows = [row for row in ROWS if row.what.startswith(("A1", "A2", "A3", "A4", "A6", "A23", "exec, ", "pid "))
            and not row.what.startswith(("A10", "A14", "A16"))]

    @classmethod
    def prepare(cls):
        cls.posing = Posing(cls.world)
        cls.posing.make_old()
        cls.posing.prepare()

    def test_few_process_ids_are_warned_of(self):
        few = int(Path("/proc/sys/kernel/pid_max").read_text()) < 4194304
        self.assertEqual("pids.few" in self.world.agent.run.err, few)


class Faulty(Case):
    @classmethod
    def prepare(cls):
        cls.posing, cls.faults = Posing(cls.world), Faults(cls.world, cls.world.agent)
        cls.posing.prepare()

    @classmethod
    def tearDownClass(cls):
        cls.faults.close()
        super().tearDownClass()

    def test_a_call_that_fails_serves_nobody_who_is_not_known(self):
        p, struck = self.posing, 0
        other = next(row for row in ROWS if row.attack == "other")
        before, agents = p.descriptors(), p.agents()
        for note, i in sequence(p, self.faults):
            error = errors_of(note, [errno.EIO, errno.ENOMEM])[0]
            with self.subTest(note, i=i):
                got, fired = try_fault(p, self.faults, note, i, error, lambda: p.ask_once(p.honest_uid))
                struck += fired
                if fired and NEEDED.match(note):
                    self.assertEqual(got, "R")
                got, _ = try_fault(p, self.faults, note, i, error, lambda: p.attack(other, 1))
                self.assertEqual(got["served"], 0)
                self.assertEqual(p.ask_once(p.honest_uid), "S")
                self.assertLessEqual(p.settle(before), 0)
                self.assertEqual(p.agents(), agents)
        print(f"{struck} faults struck")
        self.assertGreater(struck, 20)


class Document(unittest.TestCase):
    def test_it_names_each_row(self):
        text = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text()
        self.assertEqual([row.attack for row in ROWS if f"`{row.attack}`" not in text], [])


main()
