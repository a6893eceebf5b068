# SPDX-License-Identifier: Apache-2.0
"""The systemd units are as tight as we say, and the example configurations are valid."""
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from kit.proc import BIN, Scene
from kit.world import main

UNITS = BIN.parent / "deploy"
EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "conf"
EXPOSURE = {"writ-server.service": 1.5, "writ-agent.service": 2.0, "writ-gate@.service": 1.5}
FORBIDDEN_FOR_THE_AGENT = ("ProtectProc", "ProcSubset", "PrivateUsers", "PrivatePIDs")


def systemd(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


class Units(unittest.TestCase):
    def test_exposure(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze here")
        for name, limit in EXPOSURE.items():
            with self.subTest(name):
                done = systemd("systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / name)
                level = float(re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout + done.stderr)[1])
                print(f"{name}: {level}")
                self.assertLessEqual(level, limit)

    def test_agent_can_read_proc(self):
        text = (UNITS / "writ-agent.service").read_text()
        for word in FORBIDDEN_FOR_THE_AGENT:
            self.assertNotRegex(text, rf"(?m)^{word}=")
        self.assertRegex(text, r"(?m)^CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH$")

    def test_examples_are_valid(self):
        scene = Scene()
        try:
            for program in ("writ-server", "writ-agent", "writ-gate"):
                conf = EXAMPLES / f"{program.removeprefix('writ-')}.conf"
                with self.subTest(conf.name):
                    done = scene.run([BIN / program, "validate", "-config", conf])
                    self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        finally:
            scene.close()


if __name__ == "__main__":
    main()
