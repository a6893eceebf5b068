# SPDX-License-Identifier: Apache-2.0
"""Bar 48 (T42): who has his programs hashed wears out nobody else: a sparse file of 1 TiB, 10,000 programs that nobody has
seen before, programs on a file system that never answers. usage: bar48.py [-short]"""
import os
import signal
import sys
import time

from bar import Verdict, percentile
from kit.proc import IS_ROOT
from kit.world import World
from posing import HASH_ROW, PROGRAMS, Honest, Posing

CROWD = 40
TIB = 1 << 40


class Bar:
    def __init__(self):
        self.w, self.v = World(), Verdict()
        self.p = Posing(self.w)

    def beside(self, what, do):
        """do() while honest callers ask; what it took them."""
        before = self.p.descriptors()
        honest = Honest(self.p, self.p.honest_uid)
        honest.program.wait_out("^S ")
        do()
        calls, served, ms = honest.stop()
        self.v.least(f"{what}: honest callers served", served, calls)
        self.v.most(f"{what}: p99 of {calls} honest callers", percentile(ms, 99), 50, "ms")
        self.v.most(f"{what}: descriptors more than before", self.p.settle(before, 10), 0)

    def sparse(self):
        w, v = self.w, self.v
        big = w.dir / "big"
        big.write_bytes(self.p.trusted.read_bytes())
        big.chmod(0o755)
        os.truncate(big, TIB)
        w.entry("big", f"unix:path:{big}")
        took = []
        for _ in range(20):
            done = w.scene.run([big, "ask", w.socket, self.p.id("big")], uid=self.p.uid)
            assert done.stdout[:1] == "S", done.stdout
            took.append(int(done.stdout.split()[1]) / 1000)
        v.most("1 TiB: attested by its path, slowest of 20", max(took), 50, "ms")
        done = w.scene.run([big, "ask", w.socket, self.p.id("hashed")], uid=self.p.uid)
        v.most("1 TiB: served by a hash", int(done.stdout[:1] == "S"), 0)

    def many(self, tries):
        got = self.p.attack(HASH_ROW, tries)
        self.v.note(f"{got['tries']} new programs", f"{got['seconds']:.1f} s: {got}")
        self.v.most("new programs without an answer", got["silent"] + got["unready"], 0)

    def crowd(self, *how):
        """Programs that were started while the file system answered, and ask when it does not."""
        w, v = self.w, self.v
        folder = w.dir / f"fuse{len(how)}"
        folder.mkdir()
        server = w.scene.start("stuck", [w.tool("stuck", PROGRAMS), folder, self.p.trusted, *how])
        try:
            server.wait_out("ready")
            crowd = [w.scene.start("crowd", [folder / "app", "late", 2000, w.socket, self.p.id("hashed")], uid=self.p.uid)
                     for _ in range(CROWD)]
            time.sleep(1)
            server.popen.send_signal(signal.SIGUSR1)
            time.sleep(1)
            end = time.monotonic() + 15
            while any(c.is_alive() for c in crowd) and time.monotonic() < end:
                time.sleep(0.05)
            answers = [c.out.split() for c in crowd]
            told = [int(a[1]) / 1000 for a in answers if a and a[0] == "R"]
            v.most("FUSE: accepted", sum(a[:1] == ["S"] for a in answers), 0)
            v.least("FUSE: refused", len(told), CROWD)
            v.most("FUSE: refused after, slowest", max(told, default=0.0), 2500, "ms")
            self.v.note("FUSE: threads of the agent", sum(len(os.listdir(f"/proc/{pid}/task")) for pid in self.p.agents()))
        finally:
            server.popen.terminate()
            server.wait_end()

    def run(self, short):
        if not IS_ROOT:
            print("needs root")
            sys.exit(77)
        w = self.w
        with w:
            self.p.prepare()
            w.entry("hashed", "unix:sha256:" + "0" * 64)
            time.sleep(0.5)
            self.beside("1 TiB", self.sparse)
            self.beside("new programs", lambda: self.many(HASH_ROW.short if short else HASH_ROW.tries))
            self.beside("FUSE", self.crowd)
            self.beside("FUSE, names forgotten", lambda: self.crowd("forget"))
        self.v.end()


Bar().run("-short" in sys.argv)
