# SPDX-License-Identifier: Apache-2.0
"""SPIRE's APIs by lines of JSON: see tests/clients/go/spire-client."""
import base64
import json
import subprocess

from .proc import CLIENTS

AGENT = "/spire.api.server.agent.v1.Agent/"
BUNDLE = "/spire.api.server.bundle.v1.Bundle/"
ENTRY = "/spire.api.server.entry.v1.Entry/"
SVID = "/spire.api.server.svid.v1.SVID/"
HEALTH = "/grpc.health.v1.Health/"
WORKLOAD = "/SpiffeWorkloadAPI/"


class ApiError(AssertionError):
    pass


def b64(data):
    return base64.b64encode(data).decode()


def id_of(text):
    """An ID as the API has it."""
    name, _, path = text.removeprefix("spiffe://").partition("/")
    return {"trust_domain": name, "path": f"/{path}" if path else ""}


def selectors_of(*texts):
    return [dict(zip(("type", "value"), t.split(":", 1))) for t in texts]


class Api:
    """One client program with any number of connections, each with an identity of its own."""

    def __init__(self):
        self.process = subprocess.Popen([CLIENTS / "bin" / "spire-client"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ApiError("spire-client is gone")
        return json.loads(line)

    def must(self, **request):
        answer = self.ask(**request)
        if answer["code"] != "OK":
            raise ApiError(f"{request.get('method', request['op'])}: {answer['code']}: {answer.get('message')}")
        return answer

    def connect(self, conn, target, key=None, chain=(), ca=()):
        self.must(op="connect", conn=conn, target=target, key=key or "", chain=list(chain), ca=list(ca))

    def call(self, conn, method, *requests, **more):
        return self.ask(op="call", conn=conn, method=method, requests=list(requests), **more)

    def result(self, conn, method, *requests, **more):
        """The one response of a call that must succeed."""
        return self.must(op="call", conn=conn, method=method, requests=list(requests), **more)["responses"][-1]

    def attest(self, conn, token, key):
        """Joins as an agent over conn; returns its chain."""
        csr = self.must(op="key", key=key)["csr"]
        answer = self.result(conn, AGENT + "AttestAgent", {"params": {
            "data": {"type": "join_token", "payload": b64(token.encode())}, "params": {"csr": csr}}})
        return answer["result"]["svid"]

    def new_svid(self, conn, key, entry_id):
        """An SVID for an entry, as an agent's connection; returns its chain."""
        csr = self.must(op="key", key=key)["csr"]
        answer = self.result(conn, SVID + "BatchNewX509SVID", {"params": [{"entry_id": entry_id, "csr": csr}]})
        result = answer["results"][0]
        if result["status"]["code"] != 0:
            raise ApiError(f"BatchNewX509SVID: {result['status']}")
        return result["svid"]["cert_chain"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
