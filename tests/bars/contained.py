# SPDX-License-Identifier: Apache-2.0
"""Asks the Workload API from inside the cgroups that are named: enters them, then asks, and prints SERVED or REFUSED and
how many milliseconds that took.

usage: contained.py SOCKET [cgroup.procs ...]"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import h2  # noqa: E402


def main():
    for procs in sys.argv[2:]:
        with open(procs, "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
    begin, got = time.monotonic(), None
    try:
        with h2.connect(sys.argv[1]) as s:
            s.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + h2.request())
            got = h2.answer(s, 10)
    except OSError:
        pass
    print("SERVED" if got else "REFUSED", round((time.monotonic() - begin) * 1000, 1), flush=True)


main()
