# SPDX-License-Identifier: Apache-2.0
"""Bar 41: attacks A1 to A23 (docs/attacks.md), and what is not its parent: 0 accepted, all honest callers served.

usage: bar41.py [-short] [-old] [ROW...]: rows of that attack, as in bar41.py A4 A10. -old: with what Linux 6.1 has."""
import sys

from bar import Verdict, percentile
from kit.proc import IS_ROOT
from kit.world import World
from posing import ROWS, Honest, Posing


def run_row(p, v, row, short):
    why = p.lacks(row)
    if why:
        v.note(f"{row.what} ({row.attack})", f"left out: {why}")
        return
    tries = row.short if short else row.tries
    stall = min(row.stall, 300) if short else row.stall
    fds = p.descriptors()
    honest = Honest(p, p.honest_uid)
    honest.program.wait_out("^S ")
    # Where the agent stood still, an answer would come at once.
    got = p.attack(row, tries, stall, wait_ms=1000 if short or row.stall else 6000)
    calls, served, ms = honest.stop()
    print(f"{row.what} ({row.attack}): {got['tries']} tries in {got['seconds']:.1f} s: {got['served']} accepted, "
          f"{got['refused']} refused, {got['silent']} without an answer, {got['unready']} could not be made"
          f"{' (' + got['why'] + ')' if got['unready'] else ''}; honest {served} of {calls}, "
          f"p50 {percentile(ms, 50):.1f} p99 {percentile(ms, 99):.1f} ms, worst {max(ms):.1f} ms", flush=True)
    v.most("accepted", got["served"], 0)
    v.least("made", got["tries"] - got["unready"], tries)
    v.least("honest callers served", served, calls)
    v.most("descriptors more than before", p.settle(fds), 0)
    if not p.w.agent.run.is_alive():
        raise AssertionError("the agent has died")


def main():
    args = sys.argv[1:]
    short, old = "-short" in args, "-old" in args
    names = [a for a in args if not a.startswith("-")]
    if not IS_ROOT:
        print("not root: rows that need other users, process IDs or the agent stopped are left out")
    p, v = Posing(World()), Verdict()
    with p.w:
        if old:
            p.make_old()
        p.prepare()
        for row in ROWS:
            if not names or any(row.what.split(",")[0] == n or row.attack == n for n in names):
                run_row(p, v, row, short)
    v.end()


main()
