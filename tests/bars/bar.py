# SPDX-License-Identifier: Apache-2.0
"""What the bars share: the kit of the scenarios, figures, and a verdict."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))


class Verdict:
    """Prints each figure beside its bar; the exit code says whether all were met."""

    def __init__(self):
        self.failed = 0

    def most(self, what, value, limit, unit=""):
        self._say(value <= limit, what, value, f"<= {limit}", unit)

    def least(self, what, value, limit, unit=""):
        self._say(value >= limit, what, value, f">= {limit}", unit)

    def note(self, what, value, unit=""):
        print(f"        {what}: {value} {unit}".rstrip(), flush=True)

    def _say(self, good, what, value, limit, unit):
        shown = f"{value:.1f}" if isinstance(value, float) else value
        print(f"  {'ok  ' if good else 'FAIL'}  {what}: {shown} {unit} (bar {limit})".replace("  (", " ("), flush=True)
        self.failed += 0 if good else 1

    def end(self):
        sys.exit(1 if self.failed else 0)


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def pss_kb(pid):
    """Proportional set size, the honest share of memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid):
    """User and system time of a process so far, by the scheduler's clock where there is one."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def tree(program):
    """The process and all below it."""
    return [program.pid, *[pid for pids in program.children().values() for pid in pids]]
