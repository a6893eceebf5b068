# SPDX-License-Identifier: Apache-2.0
"""A fake of Kubernetes' API server, as far as k8s_psat asks one: TokenReview, pods and nodes from tables, over TLS.
It follows the recorded API (authentication.k8s.io/v1, v1); it is no Kubernetes."""
import base64
import http.server
import json
import ssl
import threading
import time


def projected_token(name, **claims):
    """Looks like a projected service account token; only the fake's table says whether it holds."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return ".".join([part({"alg": "RS256"}), part({"exp": int(time.time()) + 600, "sub": name, **claims}), "c2lnbmF0dXJl"])


class FakeKube:
    """tokens: token -> {namespace, account, pod, uid, audiences}; pods: (namespace, name) -> object; nodes: name -> object."""

    def __init__(self, cert, key, bearer, port=0):
        self.tokens, self.pods, self.nodes, self.asked = {}, {}, {}, []
        self.bearer, fake = bearer, self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.answer(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def review(self, spec):
        found = self.tokens.get(spec["token"])
        if not found:
            return {"authenticated": False, "error": ""}
        wanted = spec.get("audiences", [])
        good = [a for a in wanted if a in found["audiences"]]
        if wanted and not good:
            return {"authenticated": False}
        return {"authenticated": True, "audiences": good, "user": {
            "username": f'system:serviceaccount:{found["namespace"]}:{found["account"]}', "uid": "1", "groups": [],
            "extra": {"authentication.kubernetes.io/pod-name": [found["pod"]],
                      "authentication.kubernetes.io/pod-uid": [found["uid"]]}}}

    def find(self, handler):
        if handler.headers.get("Authorization") != f"Bearer {self.bearer}":
            return 401, {"kind": "Status", "message": "Unauthorized"}
        path = handler.path.split("/")
        if handler.command == "POST" and handler.path == "/apis/authentication.k8s.io/v1/tokenreviews":
            review = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
            return 201, {**review, "status": self.review(review["spec"])}
        if path[:4] == ["", "api", "v1", "namespaces"] and path[5] == "pods":
            found = self.pods.get((path[4], path[6]))
        else:
            found = self.nodes.get(path[4]) if path[:4] == ["", "api", "v1", "nodes"] else None
        return (200, found) if found else (404, {"kind": "Status", "message": "not found"})

    def answer(self, handler):
        self.asked.append(handler.path)
        status, value = self.find(handler)
        body = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(body), 100):
            piece = body[at:at + 100]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True
