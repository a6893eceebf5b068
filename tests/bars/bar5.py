# SPDX-License-Identifier: Apache-2.0
"""Bar 5: everything rotates for 7 minutes under 10 calls a second; then the server is away for 10 lifetimes.

usage: bar5.py [minutes of calls] [seconds of outage]"""
import json
import sys
import time

from bar import Verdict
from kit.net import Target
from kit.proc import BIN, CLIENTS, wait_for
from kit.world import MINE, TD, World, other_uid, path_selector

MINUTES = float(sys.argv[1]) if len(sys.argv) > 1 else 7
OUTAGE_S = float(sys.argv[2]) if len(sys.argv) > 2 else 600
TOOL, CALLER = f"spiffe://{TD}/tool/echo", f"spiffe://{TD}/agent/caller"


def activations(w):
    text = w.server.run.err + w.server.run.out
    return text.count('"ca.active"')


def calls(w, v, uid, port):
    go = w.scene.start("go-watch", [w.tool("spiffe-client"), "watch"], env=w.endpoint, uid=uid)
    py = w.scene.start("py-watch", w.py_argv("watch"), env=w.endpoint)
    go.wait_out("^spiffe://")
    py.wait_out("^spiffe://", 20)
    before = activations(w)
    done = w.go("call", "-url", f"https://127.0.0.1:{port}/hello", "-expect", TOOL, "-for", f"{MINUTES * 60:.0f}s",
                "-rate", "10", uid=uid, deadline_s=MINUTES * 60 + 60)
    summary = json.loads(done.stdout)
    v.least("calls", summary["calls"], int(MINUTES * 60 * 9.5))
    v.most("failed calls", summary["failed"], 0)
    for line in summary.get("errors", []):
        v.note("error", line)
    v.note("slowest percent of calls", f"{summary['p99_ms']:.1f}", "ms")
    v.least("activations of a CA", activations(w) - before, 3 if MINUTES >= 7 else 0)
    counts = {}
    for watch in (go, py):
        counts[watch.name] = len({line.split()[1] for line in watch.out.splitlines()})
        v.least(f"serials seen by {watch.name}", counts[watch.name], int(MINUTES * 60 / 30))
        v.most(f"{watch.name} ended", 0 if watch.is_alive() else 1, 0)
        watch.stop()
    v.most("serials that one of them missed", abs(counts["go-watch"] - counts["py-watch"]), 1 + MINUTES)


def outage(w, v, uid):
    w.server.run.stop()
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > OUTAGE_S, OUTAGE_S + 5, "the outage is over")
    w.server.start()
    back = time.monotonic()
    done = w.go("fetch", "-timeout", "60s", uid=uid, deadline_s=70)
    v.most("fetch failed after the outage", done.returncode, 0)
    v.most("served again after the server's return", time.monotonic() - back, 30, "s")
    v.most("agents that had to join anew", json.loads(w.writ("agent", "count", "-o", "json")).get("count", 0) - 1, 0)


def main():
    w, v = World(server_extra='ca_ttl = "3m"\n'), Verdict()
    with w:
        w.start()
        uid = other_uid(1)
        w.entry("agent/caller", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), ttl=60)
        w.entry("agent/python", f"unix:uid:{MINE}", path_selector(CLIENTS / "venv" / "bin" / "python"), ttl=60)
        w.entry("tool/echo", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"), ttl=60)
        target = Target()
        _, port = w.gate(target.port, CALLER)
        calls(w, v, uid, port)
        if OUTAGE_S > 0:
            outage(w, v, uid)
    v.end()


main()
