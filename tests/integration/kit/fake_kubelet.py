# SPDX-License-Identifier: Apache-2.0
"""A fake of a kubelet's /pods, over TLS, with a token. It follows the recorded API (v1.PodList); it is no kubelet."""
import http.server
import json
import ssl
import threading


class FakeKubelet:
    """pods: what /pods lists. late: what it lists as well from its third answer on. mood: "" answers, "hang"."""

    def __init__(self, cert, key, bearer):
        self.pods, self.late, self.mood, self.requests, self.released = [], [], "", 0, threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.requests += 1
                if fake.mood == "hang":
                    fake.released.wait(60)
                    return
                pods = fake.pods + (fake.late if fake.requests > 2 else [])
                good = self.headers.get("Authorization") == f"Bearer {bearer}"
                body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}).encode()
                body = body if good else b"Unauthorized"
                self.send_response(200 if good and self.path == "/pods" else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.released.set()
        self.httpd.shutdown()
        self.httpd.server_close()


def pod(uid, name, account, *containers):
    """containers: (name, id, image)"""
    return {"metadata": {"name": name, "namespace": "shop", "uid": uid, "labels": {"app": name}},
            "spec": {"serviceAccountName": account, "nodeName": "node-7"},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": c, "image": image, "imageID": f"{image}@sha256:{'1' * 64}", "containerID": f"containerd://{i}"}
                for c, i, image in containers]}}
