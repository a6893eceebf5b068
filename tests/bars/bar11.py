# SPDX-License-Identifier: Apache-2.0
"""Bar 11: bad input: damaged messages by the hundred thousand for each method, and the scenarios that are in CI too.

usage: bar11.py [messages for each method, 100000]"""
import re
import subprocess
import sys
from pathlib import Path

from bar import Verdict

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
HERE = Path(__file__).resolve().parents[1] / "integration"


def scenarios(v):
    for name in ("bad_input", "bad_files", "bad_logs", "cli_texts"):
        done = subprocess.run([sys.executable, "-B", HERE / f"{name}.py"], capture_output=True, text=True, check=False)
        failures = re.search(r"failures=(\d+)|errors=(\d+)", done.stderr)
        v.most(f"{name}: failures", 0 if done.returncode == 0 else int(next(filter(None, failures.groups()))) if failures else 1, 0)


def damaged(v):
    import bad_input
    case = bad_input.BadInput()
    bad_input.BadInput.setUpClass()
    try:
        answers = case.mutate(COUNT)
    finally:
        bad_input.BadInput.tearDownClass()
    for method, got in answers.items():
        name = method.rsplit("/", 1)[1]
        v.most(f"{name}: CPU of a damaged message", got["cpu_us"], 1000, "us")
        v.note(f"{name}", " ".join(f"{code}={n}" for code, n in sorted(got["codes"].items())))


def main():
    v = Verdict()
    scenarios(v)
    damaged(v)
    v.end()


main()
