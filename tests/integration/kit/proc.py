# SPDX-License-Identifier: Apache-2.0
"""Programs under test: started, watched, ended, and their output kept for the report of a failure."""
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

BIN = Path(os.environ.get("WRIT_BIN", "build/release/bin")).resolve()
CLIENTS = Path(os.environ.get("WRIT_CLIENTS", BIN.parent / "clients")).resolve()
POLL_S = 0.01
IS_ROOT = os.geteuid() == 0
# The machine's own namespaces have fixed numbers. In a container the agent starts only when it is told to.
IN_CONTAINER = any(os.readlink(f"/proc/self/ns/{name}") != f"{name}:[{number}]"
                   for name, number in (("user", 4026531837), ("pid", 4026531836), ("cgroup", 4026531835)))


class Failed(AssertionError):
    """A condition that did not come true in time, or a program that did not do what it must."""


def wait_for(condition, deadline_s, what):
    """Returns condition()'s first true value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {deadline_s} s: {what}")
        time.sleep(POLL_S)


class Program:
    """One running program. Its two outputs go to files below folder."""

    def __init__(self, name, argv, folder, env=None, uid=None, umask=0o022, core=False, cwd=None, groups=()):
        self.name, self.argv = name, [str(a) for a in argv]
        self.out_path = Path(folder) / f"{name}.out"
        self.err_path = Path(folder) / f"{name}.err"
        if core:
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        full_env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
        full_env.update(env or {})
        extra = {"user": uid, "group": uid, "extra_groups": list(groups)} if uid is not None and IS_ROOT else {}
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=full_env,
                                          umask=umask, cwd=cwd or folder, start_new_session=True, **extra)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def is_alive(self):
        return self.popen.poll() is None

    def wait_out(self, pattern, deadline_s=10, count=1):
        """Waits until the pattern stands count times in the standard output; returns the last match."""
        def look():
            found = list(re.finditer(pattern, self.out, re.M))
            if len(found) >= count:
                return found[-1]
            if not self.is_alive():
                raise Failed(f"{self.name} ended with {self.popen.returncode} before it printed {pattern!r}")
            return None
        return wait_for(look, deadline_s, f"{count} x {pattern!r} in the output of {self.name}")

    def wait_end(self, deadline_s=10):
        try:
            return self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {deadline_s} s") from None

    def stop(self, deadline_s=15):
        """SIGTERM; returns the exit code."""
        if self.is_alive():
            self.popen.terminate()
        return self.wait_end(deadline_s)

    def kill(self):
        """SIGKILL for this process alone, as a crash would be."""
        if self.is_alive():
            self.popen.kill()
        self.popen.wait(10)

    def kill_session(self):
        """Whatever is left of it, children included."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(10)

    def children(self):
        """Processes below this one, by name: {name: [pid, ...]}."""
        below = {}
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = Path(f"/proc/{entry}/stat").read_text(errors="replace")
                except OSError:
                    continue
                name = stat[stat.index("(") + 1:stat.rindex(")")]
                parents.setdefault(int(stat[stat.rindex(")") + 2:].split()[1]), []).append((int(entry), name))
        todo = [self.pid]
        while todo:
            for pid, name in parents.get(todo.pop(), []):
                below.setdefault(name, []).append(pid)
                todo.append(pid)
        return below


class Scene:
    """A folder and the programs that were started in it; both gone at the end."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="writ-it-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.programs = []
        self.keep = bool(os.environ.get("WRIT_KEEP"))

    def start(self, name, argv, **more):
        count = sum(1 for p in self.programs if p.name.split("#")[0] == name)
        program = Program(f"{name}#{count}" if count else name, argv, self.dir, **more)
        self.programs.append(program)
        return program

    def run(self, argv, deadline_s=20, env=None, uid=None, stdin=None):
        """A program that ends by itself: its CompletedProcess, with text."""
        full_env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
        full_env.update(env or {})
        extra = {"user": uid, "group": uid, "extra_groups": []} if uid is not None and IS_ROOT else {}
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=deadline_s, env=full_env,
                              input=stdin, cwd=self.dir, check=False, **extra)

    def dump(self, lines=60):
        """The ends of all logs, for the report of a failure."""
        for path in sorted([*self.dir.glob("*.out"), *self.dir.glob("*.err"), *self.dir.glob("*.log")]):
            text = path.read_text(errors="replace").splitlines()
            if text:
                print(f"----- {path.name} ({len(text)} lines)", *text[-lines:], sep="\n", flush=True)

    def close(self):
        for program in reversed(self.programs):
            if program.is_alive():
                program.popen.terminate()
        for program in self.programs:
            try:
                program.popen.wait(5)
            except subprocess.TimeoutExpired:
                pass
            program.kill_session()
        if not self.keep:
            subprocess.run(["rm", "-rf", str(self.dir)], check=False)
