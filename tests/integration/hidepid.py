# SPDX-License-Identifier: Apache-2.0
"""A21: an agent that sees /proc as hidepid= shows it. With its capabilities it sees all, and honest callers are served; without
them it sees too little, and nobody is: what cannot be read is no reason to believe.

The test makes itself process 1 of a PID namespace first: it then is the machine whose processes the agent looks at."""
import os
import sys
import unittest

from kit.proc import IS_ROOT
from kit.world import Case, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bars"))
from posing import ROWS, Posing  # noqa: E402

OWN_MOUNTS = ["unshare", "--mount", "--propagation", "unchanged", "--"]
ATTACKS = ("other", "r3", "r4", "passed", "zombie", "forked-child", "leave-root")
AGENT_UID = 45998


class Hidepid(Case):
    level, more, caps = 1, "", True

    @classmethod
    def prepare(cls):
        w = cls.world
        own = "" if cls.caps else f"chown {AGENT_UID} {w.dir}/token; "
        script = f'mount -t proc -o hidepid={cls.level}{cls.more} proc /proc; {own}exec "$@"'
        w.agent.wrap = [*OWN_MOUNTS, "sh", "-ec", script, "sh"]
        if not cls.caps:
            w.agent.wrap += ["setpriv", f"--reuid={AGENT_UID}", f"--regid={AGENT_UID}", "--clear-groups", "--inh-caps=-all"]
            w.agent.data.mkdir(mode=0o700)
            for path in (w.dir / "agent", w.dir / "public", w.agent.data):
                os.chown(path, AGENT_UID, AGENT_UID)
        cls.posing = Posing(w)
        cls.posing.prepare(honest=cls.caps)

    def setUp(self):
        if not IS_ROOT:
            self.skipTest("needs root, for a mount namespace")

    def test_nobody_poses_as_another(self):
        p = self.posing
        for row in ROWS:
            if row.attack in ATTACKS:
                with self.subTest(row.attack):
                    got = p.attack(row, 10, wait_ms=800)
                    self.assertEqual(got["served"], 0, got)
                    self.assertEqual(got["unready"], 0, got)

    def test_the_honest_are_served_where_they_can_be_seen(self):
        for _ in range(20):
            self.assertEqual(self.posing.ask_once(self.posing.honest_uid), "S" if self.caps else "R")


class Hidepid2(Hidepid):
    level = 2


class Hidepid4(Hidepid):
    level = 4


class WithoutCapabilities(Hidepid):
    level, caps = 2, False


class WithoutCapabilitiesInTheGroup(WithoutCapabilities):
    more = f",gid={AGENT_UID}"


if __name__ == "__main__":
    if IS_ROOT and os.getpid() != 1:
        os.execvp("unshare", [*OWN_MOUNTS[:-1], "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B",
                              *sys.argv])
    main()
