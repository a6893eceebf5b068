# SPDX-License-Identifier: Apache-2.0
"""Bar 10: floods of one uid or address on both listeners, 10,000 connections, 256 descriptors; others are served on.

usage: bar10.py [seconds of each flood] [agent|server] [probes|many|few] [probe...]"""
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from bar import Verdict, cpu_s, percentile, pss_kb
from kit.proc import BIN
from kit.world import World, other_uid

HERE = Path(__file__).resolve().parent
FLOOD = BIN.parent / "bars" / "flood"
HONEST, ATTACKER = other_uid(1), other_uid(2)
PAUSE_S = 0.01
GROWTH_KB, OTHERS_MS, RECOVERED_S, IDLE_CPU = 32 * 1024, 50, 1, 0.05
MANY = 10000
# What each is cut off for, at once or when it goes on; the rest is shaped, or waits for a deadline.
ONCE = ["reset", "open", "provoked_reset", "calls", "stalled", "header_bomb", "continuation", "ping", "settings",
        "window_update", "empty_data", "priority", "unknown", "ping_ack", "oversize", "push_promise", "junk", "bad_preface"]
CROWDS = [("silent", 200), ("silent_open", 200), ("drip", 200), ("drip_open", 200), ("connect", 50)]


class Victim:
    """A listener and the process behind it."""

    def __init__(self, w, which):
        self.which, self.is_agent = which, which == "agent"
        self.target = f"unix:{w.socket}" if self.is_agent else f"tcp:{w.port}"
        daemon = w.agent if self.is_agent else w.server
        below = [pid for pids in daemon.run.children().values() for pid in pids]
        # Of the server's processes, the one that has the port.
        self.pid = max([daemon.run.pid, *below], key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))
        self.honest_uid = HONEST if self.is_agent else None

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def peak_kb(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        return 0

    def forget_peak(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


class Others:
    """An honest caller beside the flood."""

    def __init__(self, w, victim, pause):
        self.program = w.scene.start("honest", ["/usr/bin/python3", "-B", HERE / "honest.py", victim.target, pause],
                                     uid=victim.honest_uid)
        self.program.wait_out("^ready")

    def end(self):
        self.program.popen.terminate()
        self.program.wait_end(10)
        return json.loads(self.program.out.splitlines()[-1])


class Sampler:
    """The largest share of memory while a flood lasts, and the descriptors."""

    def __init__(self, victim):
        self.victim, self.pss, self.fds, self.stop = victim, 0, 0, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop.wait(0.1) and os.path.exists(f"/proc/{self.victim.pid}"):
            self.pss = max(self.pss, pss_kb(self.victim.pid))
            self.fds = max(self.fds, self.victim.fds())

    def end(self):
        self.stop.set()
        self.thread.join()


class Figures:
    pass


def waited_s(pid):
    """How long the loop thread could run and had no processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def recovered_s(calls, end):
    """From the end of the flood to the first of five calls in a row that are answered in time."""
    after = [(begin + ms / 1000, ms, good) for begin, ms, good in calls if begin + ms / 1000 >= end]
    for i in range(len(after) - 4):
        if all(good and ms <= OTHERS_MS for _, ms, good in after[i:i + 5]):
            return max(0.0, after[i][0] - end)
    return float("inf")


def flood(w, victim, probe, seconds, count=1, again=False, processes=1, pause=PAUSE_S, wrap=()):
    f = Figures()
    before, rss = pss_kb(victim.pid), 0
    victim.forget_peak()
    rss = victim.peak_kb()
    others, sampler = Others(w, victim, pause), Sampler(victim)
    time.sleep(0.3)
    begin, cpu, waited = time.monotonic(), cpu_s(victim.pid), waited_s(victim.pid)
    argv = [*wrap, FLOOD, probe, victim.target, str(seconds), str(count), *(["again"] if again else [])]
    running = [w.scene.start("flood", argv, uid=ATTACKER) for _ in range(processes)]
    told = []
    for r in running:
        r.wait_end(seconds + 60)
        told.append(json.loads(r.out))
    end = time.monotonic()
    f.cpu, f.starved = (cpu_s(victim.pid) - cpu) / (end - begin), (waited_s(victim.pid) - waited) / (end - begin)
    time.sleep(1.3)
    sampler.end()
    calls = others.end()
    f.told = {k: sum(t[k] for t in told) for k in told[0] if k != "first_cut_s"}
    f.first_cut = min((t["first_cut_s"] for t in told if t["first_cut_s"] >= 0), default=-1)
    f.growth, f.peak, f.left = sampler.pss - before, victim.peak_kb() - rss, pss_kb(victim.pid) - before
    f.fds = sampler.fds
    during = [(ms, good) for at, ms, good in calls if begin <= at <= end]
    f.calls, f.lost = len(during), sum(not good for _, good in during)
    f.ms = [ms for ms, _ in during] or [float("inf")]
    f.recovered = recovered_s(calls, end)
    return f


def show(name, f):
    print(f"{name:34} +{f.growth / 1024:5.1f} MB (rss {f.peak / 1024:+5.1f}, left {f.left / 1024:+5.1f})  cpu {f.cpu * 100:3.0f} %,"
          f" waits for one {f.starved * 100:3.0f} %"
          f"  others {f.calls:3} calls {f.lost} lost p50 {percentile(f.ms, 50):5.1f} p99 {percentile(f.ms, 99):6.1f}"
          f" max {max(f.ms):6.1f} ms  back {f.recovered:4.2f} s  made {f.told['made']} cut {f.told['cut']}"
          f" calmed {f.told['calmed']} most {f.told['most']} failed {f.told['failed']} {f.told['mb']:.1f} MB"
          f" first cut {f.first_cut:.2f} s fds {f.fds}", flush=True)


class Worst:
    """The worst of each figure, with the probe that caused it."""

    def __init__(self):
        self.of = {}

    def add(self, name, f):
        for what, value in (("growth", f.growth / 1024), ("p99 of others", percentile(f.ms, 99)), ("recovered", f.recovered),
                            ("calls lost", f.lost)):
            if what not in self.of or value > self.of[what][0]:
                self.of[what] = (value, name)

    def judge(self, v, where):
        for what, limit, unit in (("growth", GROWTH_KB / 1024, "MB"), ("p99 of others", OTHERS_MS, "ms"),
                                  ("recovered", RECOVERED_S, "s"), ("calls lost", 0, "")):
            value, name = self.of[what]
            v.most(f"{where}: {what}, worst ({name})", value, limit, unit)


def probes(w, v, which, seconds, names):
    victim, worst = Victim(w, which), Worst()
    baseline = flood(w, victim, "silent", 1)
    show(f"{which} baseline", baseline)
    for name in names or ONCE:
        for again in (False, True):
            f = flood(w, victim, name, seconds, again=again)
            show(f"{which} {name}{' again' if again else ''}", f)
            worst.add(name, f)
    for name, count in CROWDS + ([("hello", 20), ("handshake", 20)] if which == "server" else []):
        if not names:
            f = flood(w, victim, name, seconds, count, again=True)
            show(f"{which} {name} x {count} again", f)
            worst.add(name, f)
    worst.judge(v, which)


def settle(v, victim, fds, what):
    end = time.monotonic() + 7  # a silent connection has five seconds to begin
    while victim.fds() > fds and time.monotonic() < end:
        time.sleep(0.1)
    v.most(f"{what}: descriptors left open", victim.fds() - fds, 0)


def many(w, v, which, seconds):
    """10,000 connections of one uid or address: once from 10 processes, and from one that comes again when refused. The
    attackers share half of the processors, as the equal shares of two control groups would have it: who may take all of
    them keeps everybody waiting, whatever the agent does. That, too, is shown, but not judged."""
    victim, worst, fds = Victim(w, which), Worst(), Victim(w, which).fds()
    half = ["taskset", "-c", f"0-{max(0, os.cpu_count() // 2 - 1)}"]
    for wrap in (half, ()):
        for name in ("silent", "silent_open", "bad_preface"):
            for again, processes in ((False, 10), (True, 1)):
                f = flood(w, victim, name, seconds, MANY // processes, again, processes, wrap=wrap)
                show(f"{which} {MANY} x {name}{' again' if again else ''}{'' if wrap else ', all CPUs'}", f)
                if wrap:
                    worst.add(f"{MANY} {name}", f)
    f = flood(w, victim, "hold", seconds, 25, processes=10, wrap=half)
    show(f"{which} 250 x hold 190 streams", f)
    worst.add("hold", f)
    worst.judge(v, f"{which}, {MANY} connections")
    settle(v, victim, fds, which)


def pushed_ms(w, stream):
    """From the creation of an entry to its identity on an open stream; the command that creates it included."""
    begin = time.time_ns()
    entry = w.entry("pushed", f"unix:uid:{HONEST}")
    took = (int(stream.wait_out(r"^(\d+) .*/pushed", 10)[1]) - begin) / 1e6
    w.writ("entry", "delete", "-entryID", entry)
    return took


def few(w, v, which, seconds):
    """Both daemons were started with 256 descriptors."""
    victim, worst = Victim(w, which), Worst()
    stream = w.scene.start("stream", [w.tool("spiffe-client"), "stream"], env=w.endpoint, uid=HONEST)
    stream.wait_out("/honest")
    fds = victim.fds()
    for name, again in (("silent", False), ("silent_open", False), ("silent_open", True), ("connect", True)):
        f = flood(w, victim, name, seconds, 1000, again=again)
        show(f"{which} 256 fds, {name}{' again' if again else ''}", f)
        worst.add(f"256 {name}", f)
    pushes = []
    push = threading.Timer(0.3 + seconds / 2, lambda: pushes.append(pushed_ms(w, stream)))
    push.start()
    f = flood(w, victim, "silent", seconds, 1000, pause=1)  # the others cost something, too
    push.join()
    v.most(f"{which} with 256 descriptors: an open stream is updated", pushes[0] if pushes else float("inf"), 1000, "ms")
    stream.kill()
    v.most(f"{which} with 256 descriptors, all in use: processor", f.cpu * 100, IDLE_CPU * 100, "%")
    worst.judge(v, f"{which}, 256 descriptors")
    settle(v, victim, fds, f"{which}, 256 descriptors")


def start(w, descriptors=None):
    if descriptors:
        w.server.wrap = w.agent.wrap = ["prlimit", f"--nofile={descriptors}:{descriptors}"]
    w.start()
    w.entry("honest", f"unix:uid:{HONEST}")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.5
    listeners = [a for a in sys.argv[2:] if a in ("agent", "server")] or ["agent", "server"]
    parts = [a for a in sys.argv[2:] if a in ("probes", "many", "few")] or ["probes", "many", "few"]
    names = [a for a in sys.argv[2:] if a not in (*listeners, *parts)]
    v = Verdict()
    for part in parts:
        with World() as w:
            start(w, 256 if part == "few" else None)
            for which in listeners:
                {"probes": lambda: probes(w, v, which, seconds, names), "many": lambda: many(w, v, which, seconds),
                 "few": lambda: few(w, v, which, seconds)}[part]()
    v.end()


main()
