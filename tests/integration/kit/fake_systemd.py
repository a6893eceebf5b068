# SPDX-License-Identifier: Apache-2.0
"""A D-Bus daemon of its own with a fake of systemd's manager on it (tests/unit/fake_systemd.c), and units that are nothing but
cgroups. Not systemd."""
import shutil
import subprocess
from pathlib import Path

from kit.fake_docker import HIERARCHIES, ROOT, Container
from kit.fake_docker import lacks as lacks_cgroups
from kit.proc import BIN

FAKE = BIN.parent / "tests" / "fake_systemd"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>"""


def lacks():
    """Why there can be no such thing here; None: there can."""
    if not shutil.which("dbus-daemon"):
        return "needs dbus-daemon"
    if not FAKE.exists():
        return f"needs {FAKE}"
    return lacks_cgroups()


class Unit(Container):
    """The cgroup that systemd would make for a unit, below / on both hierarchies."""

    def __init__(self, path):
        self.name, self.path, self.fragment = path.rsplit("/", 1)[-1], path, f"/etc/systemd/system/{path.rsplit('/', 1)[-1]}"
        for h in HIERARCHIES:
            (ROOT / h / path).mkdir(parents=True, exist_ok=True)

    def remove(self):
        super().remove()
        for h in HIERARCHIES:
            for folder in (ROOT / h / self.path).parents:
                if folder == ROOT / h:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break


class FakeSystemd:
    """start(mood, (unit, fragment, cgroup)...); mood as in fake_systemd.c."""

    def __init__(self, folder):
        self.path, self.conf = Path(folder) / "bus", Path(folder) / "bus.conf"
        self.conf.write_text(BUS.format(path=self.path))
        self.processes = []

    def run(self, *argv):
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(p)
        if not p.stdout.readline():
            raise RuntimeError(f"{argv[0]} does not start")

    def start(self, mood, *units):
        self.run("dbus-daemon", f"--config-file={self.conf}", "--nofork", "--nopidfile", "--print-address")
        self.run(FAKE, str(self.path), mood, *(word for unit in units for word in unit))

    def stop(self):
        for p in self.processes:
            p.kill()
            p.wait()
            p.stdout.close()
        self.processes = []
        self.path.unlink(missing_ok=True)
