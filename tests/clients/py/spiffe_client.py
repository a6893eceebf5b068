# SPDX-License-Identifier: Apache-2.0
"""What a Python program of a user would be: py-spiffe against the Workload API.

usage: spiffe_client.py fetch | watch | server ALLOWED-ID | call HOST:PORT EXPECTED-ID
The Workload API is at SPIFFE_ENDPOINT_SOCKET. `server` prints "listening PORT" and answers "hello, CALLER".
"""
import logging
import os
import socket
import ssl
import sys
import threading

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import X509Source

FIRST_S = 20


def line(svid):
    leaf = svid.leaf
    return f"{svid.spiffe_id} {leaf.serial_number:x} {int(leaf.not_valid_after_utc.timestamp())}"


def fetch():
    with X509Source(timeout_in_seconds=FIRST_S) as source:
        print(line(source.svid))


def watch():
    source = X509Source(timeout_in_seconds=FIRST_S)
    changed = threading.Event()
    source.subscribe_for_updates(changed.set)
    last = None
    while True:
        svid = source.svid
        bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        text = f"{line(svid)} {len(bundle.x509_authorities)}"
        if text != last:
            print(text, flush=True)
        last = text
        changed.wait()
        changed.clear()


def memory_file(data):
    """A path that ssl can read: keys of SVIDs do not belong on a disk."""
    fd = os.memfd_create("svid", os.MFD_CLOEXEC)
    os.write(fd, data)
    return fd, f"/proc/self/fd/{fd}"


def context(source, side):
    svid = source.svid
    pem = svid.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem += b"".join(c.public_bytes(Encoding.PEM) for c in svid.cert_chain)
    bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    ctx = ssl.SSLContext(side)
    ctx.minimum_version = ssl.TLSVersion.TLSv1_3
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_REQUIRED
    ctx.load_verify_locations(cadata="".join(c.public_bytes(Encoding.PEM).decode() for c in bundle.x509_authorities))
    fd, path = memory_file(pem)
    try:
        ctx.load_cert_chain(path)
    finally:
        os.close(fd)
    return ctx


def peer_id(conn):
    names = [v for kind, v in conn.getpeercert()["subjectAltName"] if kind == "URI"]
    if len(names) != 1:
        raise ssl.SSLError("the peer's certificate has no single URI")
    return names[0]


def server(allowed):
    source = X509Source(timeout_in_seconds=FIRST_S)
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        plain.settimeout(5)
        try:
            with context(source, ssl.PROTOCOL_TLS_SERVER).wrap_socket(plain, server_side=True) as conn:
                caller = peer_id(conn)
                if caller == allowed and conn.recv(4096):
                    conn.sendall(f"HTTP/1.0 200 OK\r\n\r\nhello, {caller}\n".encode())
                    conn.unwrap()
        except (OSError, ssl.SSLError) as e:
            print("refused:", e, file=sys.stderr, flush=True)


def call(address, expected):
    host, port = address.rsplit(":", 1)
    with X509Source(timeout_in_seconds=FIRST_S) as source:
        ctx = context(source, ssl.PROTOCOL_TLS_CLIENT)
        with socket.create_connection((host, int(port)), 5) as plain, ctx.wrap_socket(plain) as conn:
            if peer_id(conn) != expected:
                sys.exit(f"the server is {peer_id(conn)}, not {expected}")
            conn.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
            answer = b""
            while part := conn.recv(4096):
                answer += part
            if not answer:
                sys.exit("no answer")
            print(answer.decode(errors="replace"))


def main():
    logging.basicConfig(level=logging.WARNING)
    commands = {"fetch": fetch, "watch": watch, "server": server, "call": call}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
