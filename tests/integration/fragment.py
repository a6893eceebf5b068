# SPDX-License-Identifier: Apache-2.0
"""systemd:fragment_path: the file of the unit that a caller's cgroup names, by the service manager's word. Against a fake of the
manager on a real D-Bus daemon (kit/fake_systemd.py), with real cgroups. Outside of root, and without v1 and v2 cgroups, all is
skipped."""
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from kit.fake_systemd import FakeSystemd, Unit, lacks
from kit.proc import BIN, wait_for
from kit.world import AGENT_CONF, JOIN_TOKEN, Case, main, path_selector

CONTAINED = Path(__file__).resolve().parents[1] / "bars" / "contained.py"
REST_S = 2.2  # how long the agent leaves a failing runtime alone, and a bit
ME = os.getpid()
UNIT = f"writ-{ME}.service"
SLICE = f"writ{ME}.slice"
FRAGMENT = f"/etc/systemd/system/{UNIT}"
UID = 41000 + ME % 8000
MANAGED = f"user.slice/user-{UID}.slice/user@{UID}.service"


@unittest.skipIf(lacks(), lacks())
class Fragment(Case):
    @classmethod
    def prepare(cls):
        w = cls.world
        cls.systemd = FakeSystemd(w.dir)
        conf = AGENT_CONF.format(**{**w.agent.values, "attestors": JOIN_TOKEN})
        plain = 'WorkloadAttestor "systemd" {\n\t\tplugin_data {}'
        assert plain in conf
        w.agent.conf.write_text(conf.replace(plain, plain[:-2] + f'{{ system_bus_socket_path = "unix://{cls.systemd.path}" }}'))
        w.start()
        cls.units = {name: Unit(path) for name, path in {
            "unit": f"{SLICE}/{UNIT}", "elsewhere": f"{SLICE}/{SLICE[:-6]}-other.slice/{UNIT}", "other": f"{SLICE}/other-{UNIT}",
            "user": f"{MANAGED}/app.slice/{UNIT}", "manager": MANAGED,
            **{f"at{i}": f"{SLICE}/writ-{ME}@{i}.service" for i in range(4)}}.items()}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.systemd.stop()
        for unit in reversed(cls.units.values()):
            unit.remove()

    def serve(self, mood="answers", lies=False):
        self.systemd.stop()
        other, instances = self.units["other"], [self.units[f"at{i}"] for i in range(4)]
        self.systemd.start(mood, (UNIT, FRAGMENT, f"/{SLICE}/{UNIT}"),
                           *((u.name, FRAGMENT, "/" if lies else f"/{u.path}") for u in instances), (other.name, other.fragment, "/" + other.path),
                           (f"user@{UID}.service", FRAGMENT, "/" + MANAGED))

    def ask(self, name):
        """(served?, milliseconds)"""
        done = subprocess.run([sys.executable, "-B", str(CONTAINED), str(self.world.socket), *map(str, self.units[name].procs())],
                              capture_output=True, text=True, timeout=30, check=False)
        verdict, ms = done.stdout.split()
        return verdict == "SERVED", float(ms)

    def why(self):
        """The latest refusal, from the agent's log."""
        lines = [line for line in self.world.agent.run.err.splitlines() if "workload.denied" in line]
        return lines[-1] if lines else ""

    def took_us(self):
        """How long the latest caller that was served waited for it, by the agent's log."""
        lines = [line for line in self.world.agent.run.err.splitlines() if "workload.attested" in line]
        return json.loads(lines[-1])["took_us"]

    def agent_maps(self):
        return "libsystemd" in Path(f"/proc/{self.world.agent.run.pid}/maps").read_text()

    def test_1_nobody_is_asked_before_an_entry_asks(self):
        self.assertFalse(self.ask("unit")[0])
        self.assertFalse(self.agent_maps())
        self.world.entry("web", f"systemd:fragment_path:{FRAGMENT}")
        self.world.entry("me", f"unix:uid:{os.geteuid()}", path_selector(BIN / "writ"))

    def test_2_a_unit_has_its_file_and_no_other_has(self):
        self.serve()
        wait_for(lambda: self.ask("unit")[0], 10, "the entry has come")
        self.assertTrue(self.agent_maps())
        self.assertFalse(self.ask("other")[0])
        self.assertIn(f"systemd:fragment_path:/etc/systemd/system/other-{UNIT}", self.why())
        self.assertFalse(self.ask("elsewhere")[0])
        self.assertIn("the caller is in", self.why())

    def test_3_units_of_users_are_not_the_systems(self):
        self.serve()
        for name in ("user", "manager"):
            with self.subTest(name):
                self.assertFalse(self.ask(name)[0])
                self.assertNotIn("systemd:fragment_path", self.why().split("error")[0])

    def test_4_explain_shows_it(self):
        self.serve()
        time.sleep(REST_S)
        w = self.world
        sleeper = w.scene.start("contained", ["sleep", "60"])
        self.units["unit"].enter(sleeper.pid)
        done = w.scene.run([BIN / "writ", "explain", "--pid", sleeper.pid],
                           env={"WRIT_AGENT_ADMIN_SOCKET": str(w.dir / "agent" / "admin.sock")})
        sleeper.kill()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"systemd:fragment_path:{FRAGMENT} +by systemd")

    def test_5_a_manager_that_hangs_lies_or_is_gone_gives_nothing(self):
        cases = (("hangs", False, "no answer in time"), ("answers", True, "the caller is in"), ("dies", False, "not known"),
                 (None, False, "No such file"))
        for i, (mood, lies, text) in enumerate(cases):  # a unit for each: what was told of one holds for seconds
            with self.subTest(mood=mood, lies=lies):
                if mood:
                    self.serve(mood, lies)
                else:
                    self.systemd.stop()
                time.sleep(REST_S)
                served, ms = self.ask(f"at{i}")
                self.assertFalse(served)
                self.assertLess(ms, 3000)
                self.assertIn(text, self.why())
                # Who is in no unit has not waited for it.
                done = self.world.scene.run([BIN / "writ", "svid", "fetch"], env=self.world.endpoint)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertLess(self.took_us(), 250000)
        self.serve()
        time.sleep(REST_S)
        self.assertTrue(self.ask("at0")[0])


if __name__ == "__main__":
    main()
