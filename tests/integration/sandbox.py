# SPDX-License-Identifier: Apache-2.0
"""An agent in a mount namespace of its own, as systemd's sandbox gives it, still knows its callers' programs.

The test makes itself process 1 of a PID namespace first: it then is the machine whose processes the agent looks at."""
import os
import sys
from pathlib import Path

from kit.proc import IS_ROOT
from kit.world import TD, Case, main, other_uid, path_selector

# Nothing is mounted in it but /proc, which is made private; in a chroot the root itself cannot be.
OWN_MOUNTS = ["unshare", "--mount", "--propagation", "unchanged", "--"]


class Sandbox(Case):
    @classmethod
    def prepare(cls):
        cls.world.agent.wrap = OWN_MOUNTS if IS_ROOT else []
        cls.world.start()

    def setUp(self):
        if not IS_ROOT:
            self.skipTest("needs root, for a mount namespace")

    def test_path_selects_a_caller_outside(self):
        # Across namespaces the kernel gives a program's path from the root of them all, which a chroot does not see.
        if not any(line.split()[4] == "/" for line in Path("/proc/self/mountinfo").read_text().splitlines()):
            self.skipTest("the root is a chroot")
        w, uid = self.world, other_uid(1)
        w.entry("outside", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")))
        done = w.go("fetch", uid=uid)
        self.assertIn(f"spiffe://{TD}/outside ", done.stdout, done.stderr)

    def test_path_is_withheld_from_a_caller_in_a_third_namespace(self):
        w, uid = self.world, other_uid(2)
        w.entry("third", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")))
        done = w.scene.run([*OWN_MOUNTS, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                            w.tool("spiffe-client"), "fetch", "-timeout", "1s"], env=w.endpoint)
        self.assertIn("no identity issued", done.stderr, done.stdout)


if __name__ == "__main__":
    if IS_ROOT and os.getpid() != 1:
        os.execvp("unshare", [*OWN_MOUNTS[:-1], "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B",
                              *sys.argv])
    main()
