# SPDX-License-Identifier: Apache-2.0
"""A fake of Docker's API over a Unix socket, for containers that are nothing but cgroups; and such containers. Not Docker."""
import json
import os
import secrets
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
HIERARCHIES = ("unified", "systemd")


def lacks():
    """Why no such container can be made here; None: they can."""
    if os.geteuid() != 0:
        return "needs root"
    if not all(os.access(ROOT / h / "cgroup.procs", os.W_OK) for h in HIERARCHIES):
        return f"needs writable v1 and v2 cgroups in {ROOT}"
    return None


class Container:
    """The cgroup that a runtime with the cgroupfs driver would make; Docker's, if no folder is named."""

    def __init__(self, labels=None, folder="docker"):
        self.id, self.labels = secrets.token_hex(32), labels or {}
        self.env = ["PATH=/bin"]
        self.path = f"{folder}/{self.id}"
        for h in HIERARCHIES:
            (ROOT / h / self.path).mkdir(parents=True)

    def procs(self):
        return [ROOT / h / self.path / "cgroup.procs" for h in HIERARCHIES]

    def enter(self, pid):
        for procs in self.procs():
            procs.write_text(str(pid))

    def pids(self):
        return [int(p) for p in self.procs()[0].read_text().split()]

    def remove(self):
        for h in HIERARCHIES:
            for _ in range(100):
                try:
                    (ROOT / h / self.path).rmdir()
                    break
                except OSError:  # its last process is still on its way out
                    time.sleep(0.02)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def do_GET(self):
        fake = self.server.fake
        fake.requests += 1
        wanted = self.path.split("/")[-2]
        c = fake.containers.get(wanted)
        if fake.mood == "hang":
            fake.released.wait(60)
            return
        if fake.mood == "garbage":
            self.wfile.write(b"\0\1\2 nothing of HTTP\n\n")
            return
        if fake.mood == "huge":
            self.send(b'{"Id":"' + b"x" * (8 << 20))
            return
        if not c:
            self.send(b'{"message":"no such container"}', 404)
            return
        pids = c.pids()
        answer = {"Id": c.id, "State": {"Status": "running", "Running": True, "Pid": pids[0] if pids else 0},
                  "Image": "sha256:" + "ab" * 32,
                  "Config": {"Image": "web:1", "Env": c.env, "Labels": c.labels}}
        if fake.mood == "other id":
            answer["Id"] = secrets.token_hex(32)
        if fake.mood == "other pid":
            answer["State"]["Pid"] = os.getpid()
        self.send(json.dumps(answer).encode())

    def send(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)


class FakeDocker:
    """mood: "" answers; "hang", "garbage", "huge", "other id", "other pid"."""

    def __init__(self, path):
        self.path, self.containers, self.mood, self.requests = Path(path), {}, "", 0
        self.server = None
        self.start()

    def start(self):
        self.path.unlink(missing_ok=True)
        self.released = threading.Event()
        self.server = Server(str(self.path), Handler)
        self.server.fake = self
        self.path.chmod(0o660)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.path.unlink(missing_ok=True)

    def container(self, **labels):
        c = Container(labels)
        self.containers[c.id] = c
        return c

    def close(self):
        self.stop()
        for c in self.containers.values():
            c.remove()
