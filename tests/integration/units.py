# SPDX-License-Identifier: Apache-2.0
"""The systemd units are as tight as we say, and the example configurations are valid."""
import ctypes.util
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from kit.proc import BIN, IS_ROOT, Scene
from kit.world import World, main, path_selector

UNITS = BIN.parent / "deploy"
EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "conf"
EXPOSURE = {"writ-server.service": 1.5, "writ-agent.service": 2.0, "writ-gate@.service": 1.5}
FORBIDDEN_FOR_THE_AGENT = ("ProtectProc", "ProcSubset", "PrivateUsers", "PrivatePIDs")


NOBODY = 50001
# Runs a program under an allow list of system calls, as systemd does; the rest fails with EPERM.
JAIL = """
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
ctx = ctypes.c_void_p(lib.seccomp_init(0x00050001))
for name in open(sys.argv[1]).read().split():
    number = lib.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        lib.seccomp_rule_add(ctx, 0x7fff0000, number, 0)
assert lib.seccomp_load(ctx) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""


def calls_of(word):
    """The names of the system calls in a word of SystemCallFilter=."""
    if not word.startswith("@"):
        return {word}
    out = systemd("systemd-analyze", "syscall-filter", "--no-pager", word).stdout.splitlines()[1:]
    return set().union(*(calls_of(line.strip()) for line in out if line.strip() and not line.strip().startswith("#")))


def allowed_by(unit):
    allowed = set()
    for without, words in re.findall(r"(?m)^SystemCallFilter=(~?)(.*)$", unit.read_text()):
        calls = set().union(*map(calls_of, words.split()))
        allowed = allowed - calls if without else allowed | calls
    return allowed | calls_of("@default") | {"execve"}


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

    def test_programs_work_under_their_filters(self):
        """With the system calls, the capabilities and no more of the user rights that the units give."""
        if not IS_ROOT or not shutil.which("systemd-analyze") or not ctypes.util.find_library("seccomp"):
            self.skipTest("needs root, systemd-analyze and libseccomp")
        with World() as w:
            for name in ("writ-server", "writ-signer", "writ-agent"):  # the build may stand where that user cannot go
                w.tool(name, BIN)
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", w.dir], check=True)
            for daemon, caps in ((w.server, "-all"), (w.agent, "-all,+sys_ptrace,+dac_read_search")):
                calls = w.dir / f"{daemon.name}.calls"
                calls.write_text("\n".join(allowed_by(UNITS / f"writ-{daemon.name}.service")))
                daemon.program = w.dir / f"writ-{daemon.name}"
                daemon.wrap = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={NOBODY + 1}", "--no-new-privs",
                               f"--bounding-set={caps}", f"--inh-caps={caps}", f"--ambient-caps={caps}",
                               sys.executable, "-c", JAIL, calls]
            w.server.start()
            w.bundle.write_text(w.writ("bundle", "show"))
            path = w.dir / "token"
            path.write_text(w.token())
            os.chown(path, NOBODY, NOBODY)
            w.agent.start("-joinTokenFile", path)
            w.entry("me", f"unix:uid:{os.geteuid()}", path_selector(BIN / "writ"))
            done = w.scene.run([BIN / "writ", "svid", "fetch", "-timeout", "5s"], env=w.endpoint)
            self.assertEqual(done.returncode, 0, done.stderr)
            status = Path(f"/proc/{w.agent.run.pid}/status").read_text()
            self.assertRegex(status, r"CapPrm:\t0+\n")

    def test_units_read_the_files_that_the_documents_name(self):
        for name in EXPOSURE:
            self.assertRegex((UNITS / name).read_text(), r"(?m)^ExecStart=.* -config /etc/writ/[a-z%i-]+\.conf$")

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
