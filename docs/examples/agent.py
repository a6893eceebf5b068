#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent that calls a tool with its own identity, and is sure whom it calls. Needs: pip install spiffe

usage: writ run -as PATH -- python3 agent.py OWN-ID TOOL-ID URL
"""
import http.client
import os
import ssl
import sys
import urllib.parse

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import X509Source


def pick(own_id):
    """The agent may give this process several identities: it has to say which it means."""
    def picker(svids):
        for svid in svids:
            if str(svid.spiffe_id) == own_id:
                return svid
        raise LookupError(f"this process is not {own_id}, but {', '.join(str(s.spiffe_id) for s in svids)}")
    return picker


def load_key(context, svid):
    """ssl wants a file: one in memory, since keys of SVIDs do not belong on a disk."""
    pem = svid.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem += b"".join(c.public_bytes(Encoding.PEM) for c in svid.cert_chain)
    fd = os.memfd_create("svid", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def tls_context(source, tool_id):
    """For one connection: the next one may need the next certificate. Works for httpx and asyncio as well."""
    def check(cert):
        names = [value for kind, value in cert.get("subjectAltName", ()) if kind == "URI"]
        if names != [tool_id]:
            raise ssl.SSLCertVerificationError(1, f"the tool is {names}, not {tool_id}")

    class Socket(ssl.SSLSocket):
        def do_handshake(self, *args, **more):
            super().do_handshake(*args, **more)
            check(self.getpeercert())  # before the first byte of a request is sent

    class Stream(ssl.SSLObject):
        def do_handshake(self):
            super().do_handshake()
            check(self.getpeercert())

    now = source.get_x509_context()
    svid = now.default_svid
    bundle = now.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the SPIFFE ID says who it is, no host name does
    context.verify_mode = ssl.CERT_REQUIRED
    context.sslsocket_class, context.sslobject_class = Socket, Stream
    context.load_verify_locations(
        cadata="".join(c.public_bytes(Encoding.PEM).decode() for c in bundle.x509_authorities))
    load_key(context, svid)
    return context


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    own_id, tool_id, url = sys.argv[1:]
    where = urllib.parse.urlsplit(url)
    with X509Source(timeout_in_seconds=20, svid_picker=pick(own_id)) as source:
        context = tls_context(source, tool_id)
        connection = http.client.HTTPSConnection(where.hostname, where.port, timeout=10, context=context)
        connection.request("GET", where.path or "/")
        answer = connection.getresponse()
        print(f"{own_id} -> {tool_id}: {answer.status} {answer.read().decode(errors='replace').strip()}")
        connection.close()


if __name__ == "__main__":
    main()
