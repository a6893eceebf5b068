# SPDX-License-Identifier: Apache-2.0
"""podman for real: of root's, or of a user who has subordinate IDs; with a store of its own, and an image with nothing in it:
containers see this machine's /usr."""
import os
import pwd
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

from kit.proc import wait_for

BARS = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
NEEDED = ["podman", "runc", "conmon"]
LIMITS = ["--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
IMAGE = "localhost/tiny:1"


def missing(*more):
    return [name for name in (*NEEDED, *more) if not shutil.which(name)]


def subordinate_user():
    """The first who may have user namespaces with more than himself in it; None: nobody may."""
    try:
        names = [line.split(":")[0] for line in Path("/etc/subuid").read_text().splitlines()]
        return next((pwd.getpwnam(name) for name in names if name and name != "root"), None)
    except (OSError, KeyError):
        return None


class Podman:
    def __init__(self, w, user=None):
        self.w, self.service, self.user = w, None, user
        self.dir = w.dir / ("podman" if not user else f"podman-{user.pw_uid}")
        self.dir.mkdir(mode=0o755)
        self.socket = self.dir / "podman.sock"
        self.argv = ["podman", "--root", str(self.dir / "store"), "--runroot", str(self.dir / "runroot"),
                     "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime", "runc"]
        self.bars = w.dir / "bars"
        if not self.bars.exists():
            self.bars.mkdir(mode=0o755)
            for name in ("h2.py", "contained.py"):
                shutil.copy(BARS / name, self.bars / name)
        image = w.dir / "image.tar"
        self.make_image(image)
        if user:
            self.become(user)
        self.run("import", str(image), IMAGE)

    def become(self, user):
        os.chown(self.dir, user.pw_uid, user.pw_gid)
        home = [f"HOME={self.dir}", f"XDG_RUNTIME_DIR={self.dir}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        self.argv = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "env", "-i", *home,
                     *self.argv]

    @staticmethod
    def make_image(path):
        with tarfile.open(path, "w") as tar:
            for name in ("usr", "dev", "proc", "sys", "tmp", "etc", "bars", "public", "gate"):
                part = tarfile.TarInfo(name)
                part.type, part.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(part)
            for name in ("bin", "lib", "lib64"):
                part = tarfile.TarInfo(name)
                part.type, part.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(part)
        path.chmod(0o644)

    def run(self, *argv, check=True):
        done = subprocess.run([*self.argv, *argv], capture_output=True, text=True, timeout=60, check=False, cwd="/")
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(argv)}: {done.stdout}{done.stderr}")
        return done

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

    def mounts(self):
        return ["-v", "/usr:/usr:ro", "-v", f"{self.bars}:/bars:ro", "-v", f"{self.w.dir / 'public'}:/public"]

    @staticmethod
    def heard(done):
        """(served?, milliseconds of the asking)"""
        words = done.stdout.split()
        if len(words) != 2:
            raise AssertionError(f"the container said {done.stdout}{done.stderr}")
        return words[0] == "SERVED", float(words[1])

    def ask(self, *flags):
        """Starts a container that asks."""
        return self.heard(self.run("run", "--rm", *LIMITS, *flags, *self.mounts(), IMAGE, PYTHON, "-B", "/bars/contained.py",
                                   "/public/api.sock", check=False))

    def ask_placed(self, place, *flags):
        """The same, after place(ID, process ID) was called with what podman says of the container."""
        gate = self.w.dir / "gate"
        gate.mkdir(mode=0o755, exist_ok=True)
        (gate / "go").unlink(missing_ok=True)
        wait = "until [ -e /gate/go ]; do sleep 0.02; done; exec \"$@\""
        made = self.run("run", "-d", *LIMITS, *flags, *self.mounts(), "-v", f"{gate}:/gate:ro", IMAGE, "sh", "-c", wait, "sh",
                        PYTHON, "-B", "/bars/contained.py", "/public/api.sock")
        name = made.stdout.split()[-1]
        try:
            place(name, int(self.run("inspect", "-f", "{{.State.Pid}}", name).stdout))
            (gate / "go").touch()
            self.run("wait", name)
            return self.heard(self.run("logs", name))
        finally:
            self.run("rm", "-f", "-t", "0", name)

    def close(self):
        """What podman leaves behind: mounts, and a process that keeps a user's namespace."""
        try:
            os.kill(int((self.dir / "libpod/tmp/pause.pid").read_text()), 15)
        except (OSError, ValueError):
            pass
        subprocess.run(["umount", "-q", "-R", str(self.dir / "store")], check=False)
