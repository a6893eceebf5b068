#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A function has at most 60 lines and a complexity of at most 15 (pmccabe). functions.txt lists those that have more, with
what they have: none may be added or grow, and who shrinks one writes that down, so the list only gets shorter.

Usage: functions.py [--write]; --write makes the list smaller where it can be, and never larger."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = os.path.join(ROOT, "tests/lint/functions.txt")
MAX_LINES, MAX_COMPLEXITY = 60, 15


def measured():
    """{"file function": (lines, complexity)} of what is beyond a limit."""
    files = subprocess.run(["git", "ls-files", "*.c"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    out = subprocess.run(["pmccabe", *files], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for row in out.splitlines():
        # complexity with a switch as one, complexity, statements, first line, lines, file(line): name
        m = re.match(r"(\d+)\t\d+\t\d+\t\d+\t(\d+)\t(\S+)\(\d+\): (\S+)", row)
        if m and (int(m[2]) > MAX_LINES or int(m[1]) > MAX_COMPLEXITY):
            found[f"{m[3]} {m[4]}"] = (int(m[2]), int(m[1]))
    return found


def listed():
    with open(LIST, encoding="utf-8") as f:
        rows = [line.split() for line in f if line.strip() and not line.startswith("#")]
    return {f"{path} {name}": (int(lines), int(complexity)) for path, name, lines, complexity in rows}


def write(rows):
    with open(LIST, encoding="utf-8") as f:
        head = [line for line in f if line.startswith("#")]
    with open(LIST, "w", encoding="utf-8") as f:
        f.writelines(head + [f"{key} {size[0]} {size[1]}\n" for key, size in sorted(rows.items())])


def main():
    now, allowed = measured(), listed()
    if "--write" in sys.argv[1:]:
        allowed = {k: tuple(map(min, size, now[k])) for k, size in allowed.items() if k in now}
        write(allowed)
    bad = []
    for key, (lines, complexity) in sorted(now.items()):
        may = allowed.get(key, (MAX_LINES, MAX_COMPLEXITY))
        if lines > max(may[0], MAX_LINES) or complexity > max(may[1], MAX_COMPLEXITY):
            bad.append(f"{key}: {lines} lines, complexity {complexity}; at most {MAX_LINES} and {MAX_COMPLEXITY}: "
                       "give a part of it a name of its own")
    for key, size in sorted(allowed.items()):
        if any(n < s for n, s in zip(now.get(key, (0, 0)), size)):
            bad.append(f"{key}: is smaller than functions.txt says: run tests/lint/functions.py --write")
    print(*bad, f"functions: {len(bad)} offences, {len(allowed)} allowed", sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
