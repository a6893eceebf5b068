# SPDX-License-Identifier: Apache-2.0
"""Bar 13: a helper of an attacker tries to get a trusted program's identity: R1, R3 and R6, each 40 times.

R1: a process connects, hands the connection to a helper and ends; its process ID is given to the trusted program; the helper
asks. R3 and R6: see attack.py. The trusted program and the other one are two copies of Python under two paths, and the entry
names the first by user and path. usage: bar13.py [attempts]"""
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import h2
from bar import Verdict
from kit.proc import IS_ROOT
from kit.world import World, other_uid

ATTEMPTS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def python_copy(w, name):
    """A Python of our own under another path, for every user."""
    real = os.path.realpath(f"/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable)
    path = w.dir / name
    shutil.copy(real, path)
    path.chmod(0o755)
    return path


class Bar:
    def __init__(self):
        self.w, self.v = World(), Verdict()
        self.uid = other_uid(3)

    def as_user(self, argv):
        extra = {"user": self.uid, "group": self.uid, "extra_groups": []} if IS_ROOT else {}
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20, check=False,
                              cwd=self.w.dir, env={"PATH": "/usr/bin:/bin", "PYTHONHOME": "/usr"}, **extra)

    def attempt(self, kind, program):
        done = self.as_user([program, "-B", self.w.dir / "attack.py", kind, self.w.socket, self.trusted, self.other])
        assert "ACCEPTED" in done.stdout or "REFUSED" in done.stdout, done.stdout + done.stderr
        return "ACCEPTED" in done.stdout

    def r1(self):
        """As root, for the process IDs; the connection is the attacker's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        script = ("import socket,sys,os\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                  "c=socket.socket(fileno=int(sys.argv[2]))\nsocket.send_fds(c,[b'x'],[s.fileno()])\n")
        first = subprocess.Popen([self.other, "-c", script, self.w.socket, str(theirs.fileno())], user=self.uid,
                                 group=self.uid, extra_groups=[], pass_fds=[theirs.fileno()],
                                 env={"PYTHONHOME": "/usr"})
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        pid = first.pid
        first.wait()
        victim = None
        for _ in range(200):
            LAST_PID.write_text(str(pid - 1))
            victim = subprocess.Popen([self.trusted, "-c", "import time; time.sleep(5)"], user=self.uid, group=self.uid,
                                      extra_groups=[], env={"PYTHONHOME": "/usr"})
            if victim.pid == pid:
                break
            victim.kill()
            victim.wait()
        hit = victim.pid == pid
        time.sleep(0.05)
        got = None
        try:
            got = h2.ask(socket.socket(fileno=fds[0]))
        except OSError:
            pass
        victim.kill()
        victim.wait()
        ours.close()
        theirs.close()
        return hit, bool(got)

    def run(self):
        w, v = self.w, self.v
        with w:
            w.start()
            self.trusted, self.other = python_copy(w, "trusted"), python_copy(w, "other")
            here = Path(__file__).parent
            for name in ("attack.py", "h2.py"):
                shutil.copy(here / name, w.dir / name)
                (w.dir / name).chmod(0o644)
            w.entry("trusted", f"unix:uid:{self.uid}", f"unix:path:{self.trusted}")
            v.most("another program is served", int(self.attempt("honest", self.other)), 0)
            for kind, program in (("r3", self.other), ("r6", self.trusted)):
                accepted = honest = 0
                for _ in range(ATTEMPTS):
                    accepted += self.attempt(kind, program)
                    honest += self.attempt("honest", self.trusted)
                v.most(f"{kind.upper()} accepted of {ATTEMPTS}", accepted, 0)
                v.least(f"honest caller served of {ATTEMPTS}", honest, ATTEMPTS)
            if IS_ROOT and os.access(LAST_PID, os.W_OK):
                tries = [self.r1() for _ in range(ATTEMPTS)]
                v.note("R1 attempts in which the process ID was had again", sum(hit for hit, _ in tries))
                v.most(f"R1 accepted of {ATTEMPTS}", sum(got for _, got in tries), 0)
            else:
                v.note("R1", "left out: needs root, to choose process IDs")
        v.end()


Bar().run()
