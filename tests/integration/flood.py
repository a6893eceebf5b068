# SPDX-License-Identifier: Apache-2.0
"""The two worst floods, for a second or more each, on both listeners: others are answered, and memory stays (bar 10 has them all)."""
import json
import os
import sys
import time
import unittest

from kit.proc import BIN, IS_ROOT
from kit.world import MINE, Case, main, other_uid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bars"))
import h2  # noqa: E402
from bar import pss_kb  # noqa: E402

SECONDS, ASKS, GROWTH_KB = 1, 6, 32 * 1024
FOREVER_S = 30  # on a machine with other work six answers take longer than a second
WORST = (("reset", 1), ("connect", 50))  # the most memory, and the most of the listening queue


class Flood(Case):
    @classmethod
    def prepare(cls):
        # AddressSanitizer keeps what was freed, 256 MiB of it: with this little, growth is the program's own.
        cls.world.server.env = cls.world.agent.env = {"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
        super().prepare()
        cls.world.entry("honest", f"unix:uid:{MINE}")

    def asks_beside(self, target, pid, ask):
        flood = self.world.tool("flood", BIN.parent / "bars")
        for probe, count in WORST:
            with self.subTest(probe=probe):
                before = pss_kb(pid)
                attacker = self.world.scene.start("flood", [flood, probe, target, FOREVER_S, count, "again"], uid=other_uid(2))
                answered, end = [], time.monotonic() + SECONDS
                while attacker.is_alive() and (time.monotonic() < end or len(answered) < ASKS):
                    answered.append(ask() is not None)
                    time.sleep(0.01)
                self.assertEqual(attacker.stop(), 0)
                self.assertGreater(json.loads(attacker.out)["made"], 0)
                self.assertGreaterEqual(len(answered), ASKS)
                self.assertEqual(answered.count(False), 0)
                self.assertLess(pss_kb(pid) - before, GROWTH_KB)
                begin = time.monotonic()
                self.assertIsNotNone(ask())
                self.assertLess(time.monotonic() - begin, 1)

    @unittest.skipUnless(IS_ROOT, "the flood needs a uid of its own")
    def test_agent(self):
        def ask():
            with h2.connect(str(self.world.socket)) as s:
                return h2.ask(s)
        self.asks_beside(f"unix:{self.world.socket}", self.world.agent.run.pid, ask)

    def test_server(self):
        def ask():
            with h2.connect_tls(self.world.port, "127.0.0.2") as s:
                return h2.ask(s, h2.GET_BUNDLE, b"example.org")
        below = [pid for pids in self.world.server.run.children().values() for pid in pids]
        serving = max([self.world.server.run.pid, *below], key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))
        self.asks_beside(f"tcp:{self.world.port}", serving, ask)


main()
