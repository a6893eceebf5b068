#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks matrix.txt: each test that it names exists. Prints how much of the standards has a test."""
import collections
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def exists(name):
    path, _, test = name.partition(":")
    file = TESTS / path
    if not file.is_file():
        return False
    text = file.read_text()
    if test == "*":
        return True
    pattern = rf"def {test}\(" if path.endswith(".py") else rf"cmocka_unit_test\w*\(\s*{test}\b"
    return re.search(pattern, text) is not None


def main():
    bad, seen, groups = 0, set(), collections.Counter()
    for n, line in enumerate((TESTS / "spec" / "matrix.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        requirement, _, rest = line.partition(" ")
        rest = rest.strip()
        group = requirement.split("-")[0]
        problems = [] if requirement not in seen else [f"{requirement} stands twice"]
        seen.add(requirement)
        groups[group] += 1
        if rest.startswith("- "):
            groups[group, "open"] += 1
        else:
            problems += [f"{requirement}: there is no test {name}" for name in rest.split() if not exists(name)]
            problems += [] if rest else [f"{requirement}: neither a test nor a reason"]
        for problem in problems:
            print(f"matrix.txt:{n}: {problem}", file=sys.stderr)
        bad += len(problems)
    for group in [g for g in groups if isinstance(g, str)]:
        print(f"{group:<3} {groups[group] - groups[group, 'open']:>3} of {groups[group]:>3} have a test")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
