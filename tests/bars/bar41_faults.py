# SPDX-License-Identifier: Apache-2.0
"""Bar 41, A18: each system call by which the agent learns who asks fails once, with several errors: an honest caller is
refused where it matters, an attacker always, nothing leaks, nothing ends, the next caller is served."""
import collections
import errno

from bar import Verdict
from faulty import NEEDED, Faults, errors_of, sequence, try_fault
from kit.world import World
from posing import ROWS, Posing

ERRORS = (errno.EIO, errno.ENOMEM, errno.EPERM, errno.EMFILE, errno.EINTR)
# What is tried again at once; it counts as not having failed.
PASSING = (errno.EINTR,)
ATTACKS = ("other", "r3")


def main():
    w, v = World(), Verdict()
    p, counts = Posing(w), collections.Counter()
    rows = {row.attack: row for row in ROWS}
    with w:
        faults = Faults(w, w.agent)
        p.prepare()
        before, agents = p.descriptors(), p.agents()
        todo = sequence(p, faults)
        v.note("calls in the sequence", len(todo))
        for note, i in todo:
            results = []
            for error in errors_of(note, ERRORS):
                got, fired = try_fault(p, faults, note, i, error, lambda: p.ask_once(p.honest_uid))
                results.append(f"{errno.errorcode[error]}:{got}{'' if fired else '-'}")
                counts["made"] += fired
                counts["honest callers served though it matters"] += (
                    got == "S" and fired and error not in PASSING and NEEDED.match(note) is not None)
                for name in ATTACKS:
                    got, fired = try_fault(p, faults, note, i, error, lambda: p.attack(rows[name], 1))
                    counts["attackers accepted"] += got["served"]
                counts["next honest callers not served"] += p.ask_once(p.honest_uid) != "S"
                counts["descriptors leaked"] += max(0, p.settle(before))
                if p.agents() != agents:
                    raise AssertionError(f"{note} #{i}, {errno.errorcode[error]}: a process of the agent has ended")
            print(f"  {note} #{i}: {' '.join(results)}", flush=True)
        v.note("faults that struck", counts["made"])
        for what in ("attackers accepted", "honest callers served though it matters", "next honest callers not served",
                     "descriptors leaked"):
            v.most(what, counts[what], 0)
        faults.close()
    v.end()


main()
