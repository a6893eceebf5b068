# SPDX-License-Identifier: Apache-2.0
"""Bar 44: podman for real: a container gets its identity by its label, and another one does not; while podman hangs, lies
dead or has come back, callers in containers are refused or served, and everybody else's p99 stays <= 50 ms.

Needs root, podman, runc and conmon (apt-get install podman runc conmon). usage: bar44.py [rounds]"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from bar import Verdict, percentile
from kit.proc import IS_ROOT, wait_for
from kit.world import AGENT_CONF, JOIN_TOKEN, World, other_uid

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
BARS = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
REST_S = 2.2
LIMITS = ["--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]


class Podman:
    """Root's, with a store of its own; containers see this machine's /usr."""

    def __init__(self, w):
        self.w, self.socket, self.service = w, w.dir / "podman.sock", None
        self.argv = ["podman", "--root", str(w.dir / "store"), "--runroot", str(w.dir / "runroot"), "--storage-driver=vfs",
                     "--cgroup-manager=cgroupfs", "--runtime", "runc"]
        image = w.dir / "image.tar"
        with tarfile.open(image, "w") as tar:
            for name in ("usr", "dev", "proc", "sys", "tmp", "etc", "bars", "public"):
                part = tarfile.TarInfo(name)
                part.type, part.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(part)
            for name in ("bin", "lib", "lib64"):
                part = tarfile.TarInfo(name)
                part.type, part.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(part)
        self.run("import", str(image), "localhost/tiny:1")

    def run(self, *argv, check=True):
        return subprocess.run([*self.argv, *argv], capture_output=True, text=True, timeout=60, check=check)

    def start_service(self):
        self.service = self.w.scene.start("podman", [*self.argv, "system", "service", "-t", "0", f"unix://{self.socket}"])
        wait_for(self.answers, 20, "podman answers")

    def answers(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(2)
        try:
            s.connect(str(self.socket))
            s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200" in s.recv(100)
        except OSError:
            return False
        finally:
            s.close()

    def ask(self, *flags):
        """Starts a container that asks; (served?, milliseconds of the asking)."""
        done = self.run("run", "--rm", *LIMITS, *flags, "-v", "/usr:/usr:ro", "-v", f"{BARS}:/bars:ro", "-v",
                        f"{self.w.dir / 'public'}:/public", "localhost/tiny:1", PYTHON, "-B", "/bars/contained.py",
                        "/public/api.sock", check=False)
        words = done.stdout.split()
        if len(words) != 2:
            raise AssertionError(f"the container said {done.stdout}{done.stderr}")
        return words[0] == "SERVED", float(words[1])


def honest(w):
    """Somebody in no container, again and again."""
    uid = other_uid(5)
    w.entry("honest", f"unix:uid:{uid}")
    return lambda name: w.scene.start(name, [PYTHON, "-B", w.dir / "honest.py", f"unix:{w.socket}", "0.01"], uid=uid)


def others_while(v, start, name, work):
    program = start(name)
    program.wait_out("ready")
    time.sleep(0.3)
    work()
    program.popen.send_signal(signal.SIGTERM)
    program.wait_end()
    calls = json.loads(program.out.splitlines()[-1])
    ms = [c[1] for c in calls]
    v.note(f"others while podman {name}", f"{len(calls)} calls, p50 {percentile(ms, 50):.1f} ms, worst {max(ms):.1f} ms")
    v.most(f"others' p99 while podman {name}", percentile(ms, 99), 50, "ms")
    v.least(f"others served while podman {name}", sum(c[2] for c in calls), len(calls))


def selectors_of(w):
    lines = [json.loads(line) for line in w.agent_audit.read_text().splitlines()]
    return [line for line in lines if "docker:" in line.get("selectors", "")][-1]["selectors"]


def run(w, v):
    p = Podman(w)
    attestors = JOIN_TOKEN + f"""
	WorkloadAttestor "docker" {{ plugin_data {{ podman_socket_path = "unix://{p.socket}" }} }}"""
    w.agent_audit = w.dir / "agent-audit.log"
    values = {**w.agent.values, "attestors": attestors, "extra": f'audit_log_file = "{w.agent_audit}"'}
    w.agent.conf.write_text(AGENT_CONF.format(**values))
    for name in ("h2.py", "honest.py"):
        shutil.copy(BARS / name, w.dir / name)
    w.start()
    w.entry("web", "docker:label:app:web", "docker:image_id:localhost/tiny:1")
    start = honest(w)
    p.start_service()

    served = [p.ask("--label", "app=web", "--label", "team=a:b", "-e", "TOKEN=planted") for _ in range(ROUNDS)]
    v.least("containers with the label served", sum(s for s, _ in served), ROUNDS)
    v.note("of these, the asking took", f"p50 {percentile([m for _, m in served], 50):.1f} ms")
    shown = selectors_of(w)
    v.note("selectors", shown)
    v.most("values of variables in the audit", int("planted" in shown), 0)
    v.most("containers without the label served", sum(p.ask("--label", "app=db")[0] for _ in range(5)), 0)

    def hang():
        p.service.popen.send_signal(signal.SIGSTOP)
        for _ in range(6):
            got, ms = p.ask("--label", "app=web")
            v.most("served while podman hangs", int(got), 0)
            v.most("refused after", ms, 1500, "ms")
        p.service.popen.send_signal(signal.SIGCONT)

    others_while(v, start, "hangs", hang)
    time.sleep(REST_S)
    v.least("served when it goes on", int(p.ask("--label", "app=web")[0]), 1)

    def die():
        p.service.kill()
        for _ in range(3):
            v.most("served while podman is dead", int(p.ask("--label", "app=web")[0]), 0)

    others_while(v, start, "is dead", die)
    p.start_service()
    time.sleep(REST_S)
    v.least("served when it came back", int(p.ask("--label", "app=web")[0]), 1)


def main():
    missing = [name for name in ("podman", "runc", "conmon") if not shutil.which(name)]
    if not IS_ROOT or missing:
        print(f"skipped: needs root and {' '.join(missing) or 'nothing else'}")
        sys.exit(77)
    w, v = World(), Verdict()
    try:
        run(w, v)
    except BaseException:
        w.scene.dump()
        raise
    finally:
        subprocess.run(["umount", "-q", "-R", str(w.dir / "store")], check=False)
        w.close()
    v.end()


os.environ.setdefault("XDG_RUNTIME_DIR", "/run")
main()
