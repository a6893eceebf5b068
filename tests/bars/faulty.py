# SPDX-License-Identifier: Apache-2.0
"""A18: the agent under faults (faults.c). Each call that it makes to learn who asks fails once."""
import collections
import errno
import os
import re
import select

from posing import PROGRAMS

# What the agent has to know for certain: without it nobody is served.
NEEDED = re.compile(r"getsockopt option (17|59|77)$|openat /proc/PID$|poll anon_inode:\[pidfd\]|openat (stat|auxv)$|"
                    r"read /proc/PID/(stat|auxv)$|statx exe$|readlinkat (exe|ns/user|ns/mnt)$")
# What else is done for a caller; it may be tried again, or not matter.
TOUCHED = re.compile(r"accept4 |[gs]etsockopt option|recvmsg socket|sendmsg socket|poll |\w+ packets|ioctl anon_inode:\[pidfd\]|"
                     r"(openat|read|readlinkat|statx|openat2|newfstatat|pidfd_open) ")
# Not the sequence's: wake-ups of libuv and gRPC, the log, and epoll_ctl, which libuv ends the process for.
OTHERS = re.compile(r"eventfd|\.err$|\.log$|epoll_ctl|(sendto|recvfrom) socket|socketpair")
SILENCE_S = 15
# Between the agent's own processes a call fails for want of memory alone; anything else ends the agent, and is meant to.
PACKETS = re.compile(r"\w+ packets$")


class Faults:
    """Around a Daemon of the kit, before it is started."""

    def __init__(self, world, daemon):
        self.ends = [world.dir / "to-faults", world.dir / "from-faults"]
        for path in self.ends:
            os.mkfifo(path, 0o600)
        daemon.wrap = [world.tool("faults", PROGRAMS), *self.ends]
        self.fd_in, self.fd_out = (os.open(path, os.O_RDWR) for path in self.ends)

    def tell(self, line):
        os.write(self.fd_in, (line + "\n").encode())

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([self.fd_out], [], [], SILENCE_S)[0]:
                raise AssertionError("the agent is gone, or hangs")
            text += os.read(self.fd_out, 1)
        return text.decode().rstrip("\n")

    def record(self):
        self.tell("record")

    def report(self):
        """The calls since record(), in order."""
        self.tell("report")
        lines = []
        while (line := self.line()) != ".":
            lines.append(line)
        return lines

    def arm(self, note, occurrence, error):
        self.tell(f"fail {occurrence} {error} {note}")
        assert self.line() == "armed"

    def fired(self):
        """Did it fail? Nothing is to fail any more."""
        self.tell("fired")
        return self.line() == "1"

    def close(self):
        for fd in (self.fd_in, self.fd_out):
            os.close(fd)


def sequence(posing, faults):
    """The calls made for one caller, as (note, which of these), from the last of three callers."""
    notes = []
    for _ in range(3):
        faults.record()
        posing.ask_once(posing.honest_uid)
        notes = faults.report()
    count = collections.Counter(n for n in notes if TOUCHED.match(n) and not OTHERS.search(n))
    missing = [want for want in ("getsockopt option 17", "openat /proc/PID", "openat auxv", "statx exe") if want not in count]
    assert not missing, f"{missing} is not among what the agent calls: {sorted(set(notes))}"
    return [(note, i) for note, n in count.items() for i in range(1, n + 1)]


def errors_of(note, errors):
    return [e for e in errors if e in (errno.ENOMEM, errno.EINTR)] if PACKETS.match(note) else errors


def try_fault(posing, faults, note, i, error, ask):
    """ask() while that call fails. Returns (what it got, whether the call was made)."""
    faults.arm(note, i, error)
    got = ask()
    return got, faults.fired()
