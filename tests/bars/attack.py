# SPDX-License-Identifier: Apache-2.0
"""One attempt to get the identity of a trusted program by posing as it; prints ACCEPTED or REFUSED. See bar13.py.

usage: attack.py honest|r3|r6 SOCKET TRUSTED-PROGRAM OTHER-PROGRAM
r3: connect, fork; the child keeps the connection, the parent becomes the trusted program; the child asks.
r6: a trusted program connects and forks; the child becomes another program and asks on the inherited connection."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import h2  # noqa: E402


def tell(got):
    print("ACCEPTED" if got else "REFUSED", flush=True)


def try_ask(s):
    try:
        return h2.ask(s)
    except OSError:
        return None


def exe_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def r3(path, trusted, _):
    s = h2.connect(path)
    parent = os.getpid()
    if os.fork() == 0:
        end = time.monotonic() + 2
        # Where /proc/PID/exe is not to be read, a moment is as good.
        while exe_of(parent) != trusted and time.monotonic() < end:
            time.sleep(0.002)
        tell(try_ask(s))
        os._exit(0)
    os.set_inheritable(s.fileno(), True)
    os.execv(trusted, [trusted, "-c", "import time; time.sleep(6)"])


def r6(path, _, other):
    s = h2.connect(path)
    if os.fork() == 0:
        os.set_inheritable(s.fileno(), True)
        os.execv(other, [other, "-B", os.path.abspath(__file__), "inherited", str(s.fileno())])
    os.wait()


def main():
    if sys.argv[1] == "inherited":
        import socket
        tell(try_ask(socket.socket(fileno=int(sys.argv[2]))))
    elif sys.argv[1] == "honest":
        tell(try_ask(h2.connect(sys.argv[2])))
    else:
        {"r3": r3, "r6": r6}[sys.argv[1]](*sys.argv[2:5])


main()
