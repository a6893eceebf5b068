# SPDX-License-Identifier: Apache-2.0
"""A caller who means well: a new connection and one call, again and again, until it is told to stop (SIGTERM); then it
prints as JSON when each call began (monotonic seconds), how many milliseconds it took, and whether it was answered.

usage: honest.py unix:PATH|tcp:PORT PAUSE-S [address to call from]"""
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import h2  # noqa: E402


def connect(kind, where, address):
    return h2.connect(where) if kind == "unix" else h2.connect_tls(int(where), address)


def main():
    kind, _, where = sys.argv[1].partition(":")
    pause, address = float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "127.0.0.2"
    path = h2.FETCH if kind == "unix" else h2.GET_BUNDLE
    calls, stop = [], []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    print("ready", flush=True)
    while not stop:
        begin, good = time.monotonic(), False
        try:
            with connect(kind, where, address) as s:
                good = h2.ask(s, path, b"spiffe://" if kind == "unix" else b"example.org") is not None
        except OSError:
            pass
        calls.append((begin, (time.monotonic() - begin) * 1000, good))
        time.sleep(pause)
    print(json.dumps(calls), flush=True)


main()
