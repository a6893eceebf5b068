# SPDX-License-Identifier: Apache-2.0
"""As much HTTP/2 as an attacker needs to ask the Workload API for an identity, with the standard library alone."""
import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def header(name, value):
    """A literal without indexing."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


FETCH = b"/SpiffeWorkloadAPI/FetchX509SVID"
GET_BUNDLE = b"/spire.api.server.bundle.v1.Bundle/GetBundle"


def request(path=FETCH, stream=1):
    """A call with an empty message."""
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path),
              (b":authority", b"localhost"), (b"content-type", b"application/grpc"), (b"te", b"trailers"),
              (b"workload.spiffe.io", b"true")]
    block = b"".join(header(n, v) for n, v in fields)
    return frame(HEADERS, 4, stream, block) + frame(DATA, 1, stream, b"\0\0\0\0\0")


def connect(path):
    """Waits its turn where the queue is full, as clients do; with settimeout() connect would not wait at all."""
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 5, 0))
    s.connect(path)
    s.settimeout(5)
    return s


def connect_tls(port, address):
    """From this address, without a certificate, whoever the server is."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    ctx.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), 5, (address, 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ctx.wrap_socket(plain)


def answer(s, seconds=3.0, wanted=b"spiffe://"):
    """Reads until what is wanted or a refusal is there: b"..." of DATA, or None."""
    end, text, body = time.monotonic() + seconds, b"", b""
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            part = s.recv(65536)
        except OSError:
            return None
        if not part:
            return None
        text += part
        while len(text) >= 9:
            n = int.from_bytes(text[:3], "big")
            if len(text) < 9 + n:
                break
            kind, flags = text[3], text[4]
            payload, text = text[9:9 + n], text[9 + n:]
            if kind in (SETTINGS, PING) and not flags & 1:
                try:
                    s.sendall(frame(kind, 1, 0, payload if kind == PING else b""))
                except OSError:
                    return None
            if kind == DATA:
                body += payload
            if kind in (RST, GOAWAY) or (kind == HEADERS and flags & 1):
                return None
            if wanted in body:
                return body
    return None


def ask(s, path=FETCH, wanted=b"spiffe://"):
    """The whole exchange on a fresh connection."""
    s.sendall(PREFACE + frame(SETTINGS, 0, 0) + request(path))
    return answer(s, wanted=wanted)
