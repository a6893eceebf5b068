# SPDX-License-Identifier: Apache-2.0
"""The attacks of docs/attacks.md, a few times each: nobody poses as another program, and honest callers are served."""
import os
import sys
import unittest
from pathlib import Path

from kit.proc import IS_ROOT
from kit.world import Case, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bars"))
from posing import ROWS, Honest, Posing  # noqa: E402

STALL_MS = 100  # the bar's is longer
# Who asks and becomes another program before it was accepted is found out by a PING that nobody answers.
NOT_YET = "r4"


class Attacks(Case):
    @classmethod
    def prepare(cls):
        cls.posing = Posing(cls.world)
        cls.posing.prepare()

    def test_nobody_poses_as_another(self):
        if not IS_ROOT:
            print("not root: attacks that need other users or process IDs are left out")
        p = self.posing
        for row in ROWS:
            if row.attack.startswith(NOT_YET):
                continue
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
        got = p.attack(row, row.short, min(row.stall, STALL_MS))
        calls, served, _ = honest.stop()
        print(f"{row.what}: {got}, honest {served} of {calls}", flush=True)
        self.assertEqual(got["served"], 0)
        self.assertEqual(got["unready"], 0, got["why"])
        self.assertGreaterEqual(got["tries"], row.short)
        self.assertEqual(served, calls)
        self.assertLessEqual(p.settle(before), 0)
        self.assertTrue(p.w.agent.run.is_alive())

    def test_the_document_names_each_row(self):
        text = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text()
        self.assertEqual([row.attack for row in ROWS if f"`{row.attack}`" not in text], [])

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_the_program_of_another_user_is_itself(self):
        self.assertEqual(self.posing.ask_once(self.posing.uid), "S")


main()
