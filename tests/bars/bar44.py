# SPDX-License-Identifier: Apache-2.0
"""Bar 44: podman for real: a container gets its identity by its label, and another one does not; while podman hangs, lies
dead or has come back, callers in containers are refused or served, and everybody else's p99 stays <= 50 ms. Then a user's
podman: what it says counts below podman-rootless:uid:N: and nowhere else.

Needs root, podman, runc and conmon (apt-get install podman runc conmon), for the user's uidmap and a user in /etc/subuid.
usage: bar44.py [rounds]"""
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from bar import Verdict, percentile
from kit.proc import IS_ROOT
from kit.world import AGENT_CONF, JOIN_TOKEN, World, other_uid
from podman import BARS, PYTHON, Podman, missing, subordinate_user

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
REST_S = 2.2


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


def denials(w):
    lines = [json.loads(line) for line in w.agent_audit.read_text().splitlines()]
    return [line.get("withheld", "") for line in lines if line["msg"] == "workload.denied"]


def selectors_of(w):
    lines = [json.loads(line) for line in w.agent_audit.read_text().splitlines()]
    return [line for line in lines if "docker:" in line.get("selectors", "")][-1]["selectors"]


def prepare(w):
    attestors = JOIN_TOKEN + f"""
	WorkloadAttestor "docker" {{
		plugin_data {{
			podman_socket_path = "unix://{w.dir}/podman/podman.sock"
			podman_socket_path_template = "unix://{w.dir}/podman-%d/podman.sock"
		}}
	}}"""
    w.agent_audit = w.dir / "agent-audit.log"
    values = {**w.agent.values, "attestors": attestors, "extra": f'audit_log_file = "{w.agent_audit}"'}
    w.agent.conf.write_text(AGENT_CONF.format(**values))
    for name in ("h2.py", "honest.py"):
        shutil.copy(BARS / name, w.dir / name)
    w.dir.chmod(0o755)
    w.start()


def of_root(w, v, p, start):
    w.entry("web", "docker:label:app:web", "docker:image_id:localhost/tiny:1")
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


def of_user(w, v, p, start):
    """Here, beside v1, a user's podman makes no cgroups; so root makes the one that the user's manager would make."""
    uid, app = p.user.pw_uid, ["--label", "app=web"]
    own = f"user.slice/user-{uid}.slice/user@{uid}.service"
    made = []

    def place(name, pid):
        for hierarchy in ("unified", "systemd"):
            folder = Path("/sys/fs/cgroup") / hierarchy / own / "user.slice" / f"libpod-{name}.scope"
            folder.mkdir(parents=True, exist_ok=True)
            for at in (folder, folder.parent, folder.parents[1]):
                os.chown(at, uid, uid)
            made.append(folder)
            (folder / "cgroup.procs").write_text(str(pid))

    def as_another(_, pid):
        place("ab" * 32, pid)

    w.entry("his", f"podman-rootless:uid:{uid}:label:app:web")
    p.start_service()
    v.most("served, in no cgroup of its own", int(p.ask(*app)[0]), 0)
    v.most("served while he lets nobody in", int(p.ask_placed(place, *app)[0]), 0)
    v.note("of that", denials(w)[-1])
    os.chown(p.socket, uid, os.getegid())
    p.socket.chmod(0o660)
    time.sleep(REST_S)
    served = [p.ask_placed(place, *app) for _ in range(ROUNDS)]
    v.least("a user's containers with the label served", sum(s for s, _ in served), ROUNDS)
    v.note("of these, the asking took", f"p50 {percentile([m for _, m in served], 50):.1f} ms")
    v.most("without the label served", int(p.ask_placed(place, "--label", "app=db")[0]), 0)
    v.most("that say that they are another one served", int(p.ask_placed(as_another, *app)[0]), 0)

    def hang():
        p.service.popen.send_signal(signal.SIGSTOP)
        got, ms = p.ask_placed(place, *app)
        v.most("served while a user's podman hangs", int(got), 0)
        v.most("refused after", ms, 1500, "ms")
        p.service.popen.send_signal(signal.SIGCONT)

    others_while(v, start, "of a user hangs", hang)
    p.service.kill()
    v.most("served while a user's podman is dead", int(p.ask_placed(place, *app)[0]), 0)
    for at in (at for folder in reversed(made) for at in (folder, *folder.parents[:4])):
        try:
            at.rmdir()
        except OSError:  # gone, or somebody else's is in it
            pass


def run(w, v, closing):
    p = Podman(w)
    closing.append(p)
    prepare(w)
    start = honest(w)
    of_root(w, v, p, start)
    p.service.kill()
    user = subordinate_user()
    if not user or missing("newuidmap"):
        v.note("a user's podman", "left out: needs newuidmap, and a user in /etc/subuid")
        return
    p = Podman(w, user)
    closing.append(p)
    of_user(w, v, p, start)


def main():
    lacks = missing()
    if not IS_ROOT or lacks:
        print(f"skipped: needs root and {' '.join(lacks) or 'nothing else'}")
        sys.exit(77)
    w, v, closing = World(), Verdict(), []
    with w:
        try:
            run(w, v, closing)
        finally:
            for p in closing:
                p.close()
    v.end()


os.environ.setdefault("XDG_RUNTIME_DIR", "/run")
main()
