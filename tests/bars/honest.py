# SPDX-License-Identifier: Apache-2.0
"""A caller who means well: a new connection and one call, again and again, until it is told to stop (SIGTERM); then it
prints as JSON when each call began (monotonic seconds), how many milliseconds it took, and whether it was answered.

usage: honest.py unix:PATH|tcp:PORT PAUSE-S [address to call from]"""
import json
import os
import signal
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import h2  # noqa: E402

TIMEOUT_S = 5


def tls():
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE  # whether it is served is the question here, not by whom
    ctx.set_alpn_protocols(["h2"])
    return ctx


def connect(kind, where, ctx, address):
    if kind == "unix":
        return h2.connect(where)
    plain = socket.create_connection(("127.0.0.1", int(where)), TIMEOUT_S, (address, 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ctx.wrap_socket(plain)


def main():
    kind, _, where = sys.argv[1].partition(":")
    pause, address = float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "127.0.0.2"
    ctx, calls, stop = tls(), [], []
    path = h2.FETCH if kind == "unix" else b"/spire.api.server.bundle.v1.Bundle/GetBundle"
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    print("ready", flush=True)
    while not stop:
        begin, good = time.monotonic(), False
        try:
            with connect(kind, where, ctx, address) as s:
                good = h2.ask(s, path, b"spiffe://" if kind == "unix" else b"example.org") is not None
        except OSError:
            pass
        calls.append((begin, (time.monotonic() - begin) * 1000, good))
        time.sleep(pause)
    print(json.dumps(calls), flush=True)


main()
