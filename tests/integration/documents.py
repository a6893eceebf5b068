# SPDX-License-Identifier: Apache-2.0
"""What README and docs/ tell people to type works, and prints what they say.

Blocks marked ```console are run: each line that begins with "$ " is a command, the lines below it are its output, where
"..." stands for anything. Blocks marked ```sh are for reading. All commands of a file run in one shell, in a copy of what
they need: /etc/writ, /var/lib/writ and /run/writ are folders of the test, ports are free ones, sudo is the user who runs the
test, and systemctl starts the program of the unit anew. `sudoedit` puts the document's ```hcl block into the file's first block.
Documents other than README begin with what README has set up."""
import os
import re
import subprocess
import unittest
from pathlib import Path

from kit.net import Target, free_port
from kit.proc import BIN, CLIENTS, IN_CONTAINER, IS_ROOT, Scene
from kit.world import main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
PORTS = ("8081", "8080", "8443", "9980", "9981", "9988", "9989")
NEEDS_CGROUPS = ["docs/agents.md"]
SETUP = {"docs/agents.md": "systemctl start writ-server\n"}
CAN_RUN = IS_ROOT and any(os.access(f"/sys/fs/cgroup/{p}cgroup.procs", os.W_OK) for p in ("", "unified/"))
MARK = "-- end of command, exit"

PRELUDE = """
sudo() { "$@"; }
id() { case "$*" in *writ-*) command id -u ;; *) command id "$@" ;; esac; }
install() {
	for last; do
		case $last in writ-*) last=$(command id -u) ;; esac
		set -- "$@" "$last"
		shift
	done
	command install "$@" || return
	sed -i -f @DIR@/map.sed "$last"
}
wait_ready() {
	for _ in $(seq 500); do
		[ "$(curl -s -o /dev/null -w '%{http_code}' "$1" || true)" = 200 ] && return 0
		kill -0 "$!" 2>/dev/null || { cat @DIR@/daemon.log >&2; return 1; }
		sleep 0.02
	done
	return 1
}
sudoedit() { command sed -i '0,/{$/{/{$/r @DIR@/fragment
}' "$1"; }
declare -A unit
systemctl() {
	[ -z "${unit[$2]:-}" ] || { kill "${unit[$2]}"; wait "${unit[$2]}"; }
	start "$2" && unit[$2]=$!
}
start() {
	case $1 in
	writ-server) writ-server run -config @DIR@/etc/server.conf >>@DIR@/daemon.log 2>&1 &
		wait_ready http://127.0.0.1:@9980@/ready ;;
	writ-agent) writ-agent run -config @DIR@/etc/agent.conf >>@DIR@/daemon.log 2>&1 &
		wait_ready http://127.0.0.1:@9981@/ready ;;
	writ-gate@*) writ-gate run -config "@DIR@/etc/gate-${1#*@}.conf" -svid "spiffe://example.org/tool/${1#*@}" \\
			>@DIR@/gate.out 2>>@DIR@/daemon.log &
		for _ in $(seq 500); do grep -q listening @DIR@/gate.out && return 0; sleep 0.02; done; return 1 ;;
	esac
}
trap 'kill $(jobs -p) 2>/dev/null' EXIT
"""


def blocks(text):
    """[(line number, command, expected output)]"""
    inside, found = False, []
    for n, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append([n, line[2:], []])
        elif inside and found:
            found[-1][2].append(line)
    return found


def fragment(text):
    """The ```hcl block, for the user who runs the test."""
    found = re.search(r"^```hcl\n(.*?)^```", text, re.M | re.S)
    return found[1].replace("uid = 1000", f"uid = {os.geteuid()}") if found else ""


def pattern(lines):
    text = ""
    for line in lines:
        text += r"(.*\n)*?" if line == "..." else ".*".join(re.escape(p) for p in line.split("...")) + r"\n"
    return re.compile(text + r"\Z")


class Documents(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        d = self.dir = self.scene.dir
        for name in ("etc", "lib", "run/server/private", "run/agent/public", "run/agent/private"):
            (d / name).mkdir(parents=True)
        self.target = Target()
        self.ports = {p: str(free_port()) for p in PORTS}
        self.ports["8080"] = str(self.target.port)
        self.map = [("/etc/writ", f"{d}/etc"), ("/var/lib/writ", f"{d}/lib"), ("/run/writ", f"{d}/run")]

    def tearDown(self):
        self.target.close()
        self.scene.close()

    def run_file(self, name, commands):
        d = self.dir
        rules = [f"s#{a}#{b}#g" for a, b in self.map] + [rf"s/\b{a}\b/{b}/g" for a, b in self.ports.items()]
        rules.append("s/writ\\.example\\.org/127.0.0.1/g")
        if IN_CONTAINER:
            rules.append("s/^agent {/&\\n\\tallow_foreign_namespaces = true/")
        (d / "map.sed").write_text("\n".join(rules) + "\n")
        (d / "fragment").write_text(fragment((ROOT / name).read_text()))
        script = PRELUDE.replace("@DIR@", str(d)) + SETUP.get(name, "")
        for port, free in self.ports.items():
            script = script.replace(f"@{port}@", free)
        for _, command, _ in commands:
            for a, b in self.map:
                command = command.replace(a, b)
            for a, b in self.ports.items():
                command = re.sub(rf"(?<=:){a}\b", b, command)
            script += f"{command}\necho \"{MARK} $?\"\n"
        (d / "script").write_text(script)
        env = {"PATH": f"{BIN}:{CLIENTS}/venv/bin:{os.environ['PATH']}", "HOME": str(d), "LC_ALL": "C.UTF-8", "NO_COLOR": "1",
               "WRIT_SERVER_SOCKET": f"{d}/run/server/private/api.sock",
               "WRIT_AGENT_ADMIN_SOCKET": f"{d}/run/agent/private/admin.sock",
               "SPIFFE_ENDPOINT_SOCKET": f"unix://{d}/run/agent/public/api.sock"}
        # bash would keep the pipe open for the daemons: a file, and the trap ends them.
        with open(d / "output", "w+b") as out:
            subprocess.run(["bash", d / "script"], stdout=out, stderr=subprocess.STDOUT, env=env, cwd=d, timeout=120,
                           check=False, stdin=subprocess.DEVNULL)
            out.seek(0)
            text = out.read().decode(errors="replace")
        for a, b in self.map:
            text = text.replace(b, a)
        return text

    def test_commands(self):
        for name in DOCUMENTS:
            commands = blocks((ROOT / name).read_text())
            if not commands:
                continue
            if name in NEEDS_CGROUPS and not CAN_RUN:
                print(f"{name}: skipped, its commands need root and cgroup v2")
                continue
            for part in ("deploy", "docs"):
                if not (self.dir / part).exists():
                    (self.dir / part).symlink_to(ROOT / part)
            text = self.run_file(name, commands)
            parts = re.split(rf"^{MARK} (\d+)\n", text, flags=re.M)
            for i, (line, command, expected) in enumerate(commands):
                with self.subTest(f"{name}:{line}: {command}"):
                    self.assertGreater(len(parts), 2 * i + 1, text[-2000:])
                    self.assertEqual(parts[2 * i + 1], "0", parts[2 * i] + self.log())
                    self.assertRegex(parts[2 * i], pattern(expected))

    def log(self):
        path = self.dir / "daemon.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


if __name__ == "__main__":
    main()
