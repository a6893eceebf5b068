# SPDX-License-Identifier: Apache-2.0
"""`writ dev`: one command, two identities, one call; for anybody, several at a time, and nothing left behind."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from kit.proc import BIN, IS_ROOT, wait_for

TOOL = "spiffe://dev.local/tool/echo"


def processes(folder):
    """Command lines of processes that have to do with this instance."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


class Dev(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Copies the programs to where every user may run them: a clone in somebody's home is not such a place."""
        cls.bin = tempfile.mkdtemp(prefix="writ-bin-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.bin)
        os.chmod(cls.bin, 0o755)
        for program in ("writ", "writ-server", "writ-signer", "writ-agent", "writ-gate"):
            shutil.copy(BIN / program, cls.bin)

    def setUp(self):
        self.runtime = tempfile.mkdtemp(prefix="writ-dev-", dir="/tmp")
        self.uid = 45001 if IS_ROOT else None
        os.chmod(self.runtime, 0o755)

    def tearDown(self):
        subprocess.run(["rm", "-rf", self.runtime], check=True)

    def start(self, *args, uid=None, name="r"):
        """Starts `writ dev` with a folder for its files that is empty before, and must be after."""
        home = os.path.join(self.runtime, name)
        os.mkdir(home, 0o700)
        if uid is not None:
            os.chown(home, uid, uid)
        return home, subprocess.Popen([f"{self.bin}/writ", "dev", *args], env={**os.environ, "XDG_RUNTIME_DIR": home}, user=uid, group=uid,
                                      extra_groups=[] if uid is not None else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, start_new_session=True)

    def nothing_left(self, home):
        self.assertEqual(os.listdir(home), [])
        wait_for(lambda: not processes(home), 5, "every process is gone")

    def check_once(self, uid, name):
        home, p = self.start("--once", "-o", "json", uid=uid, name=name)
        out, err = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 0, err)
        said = json.loads(out)
        self.assertTrue(said["svid"]["spiffe_id"].startswith("spiffe://dev.local/user/"), said)
        self.assertEqual((said["call"]["status"], said["call"]["peer_id"]), (200, TOOL))
        self.nothing_left(home)

    def test_once_says_what_scripts_need_and_leaves_nothing(self):
        self.check_once(None, "own")

    @unittest.skipUnless(IS_ROOT, "needs root, to be somebody else")
    def test_once_needs_no_privilege(self):
        self.check_once(self.uid, "other")

    def test_two_at_the_same_time_do_not_disturb_each_other(self):
        running = [self.start("--once", "-o", "json", name=f"n{i}") for i in range(2)]
        for home, p in running:
            out, err = p.communicate(timeout=30)
            self.assertEqual(p.returncode, 0, err)
            self.assertEqual(json.loads(out)["call"]["status"], 200)
            self.nothing_left(home)

    def until_ready(self, p):
        for line in p.stdout:
            if line.startswith("Ctrl-C"):
                return
        self.fail(p.stderr.read())

    def test_ctrl_c_ends_everything_though_it_reaches_the_whole_group(self):
        home, p = self.start()
        self.until_ready(p)
        os.killpg(p.pid, signal.SIGINT)
        _, err = p.communicate(timeout=30)
        self.assertEqual((p.returncode, err), (0, ""))
        self.nothing_left(home)

    def test_a_second_one_of_the_same_name_is_told_so(self):
        home, p = self.start("--name", "same")
        self.until_ready(p)
        again = subprocess.run([BIN / "writ", "dev", "--name", "same"], env={**os.environ, "XDG_RUNTIME_DIR": home}, capture_output=True,
                               text=True, timeout=30, check=False)
        self.assertEqual(again.returncode, 7)
        self.assertIn("another `writ dev` runs", again.stderr)
        p.terminate()
        p.communicate(timeout=30)
        self.nothing_left(home)

    def test_its_programs_die_with_it(self):
        home, p = self.start()
        self.until_ready(p)
        p.kill()
        p.communicate(timeout=30)
        begin = time.monotonic()
        wait_for(lambda: not processes(home), 10, f"every process is gone {time.monotonic() - begin:.1f} s after a kill")

    def test_its_environment_is_for_a_shell(self):
        home, p = self.start("--name", "env")
        self.until_ready(p)
        said = subprocess.run(["sh", "-c", f'eval "$({BIN}/writ dev env --name env)" && {BIN}/writ svid fetch && {BIN}/writ entry count'],
                              env={**os.environ, "XDG_RUNTIME_DIR": home}, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("spiffe://dev.local/user/", said.stdout)
        self.assertIn("3 registration entries", said.stdout)
        # What needs no privilege is there to be tried.
        said = subprocess.run(["sh", "-c", f'eval "$({BIN}/writ dev env --name env)" && {BIN}/writ entry preview -selector systemd:id:a '
                               '-selector container:id:a -selector slurm:step:1 -selector cgroup:path:/a -selector caps:none '
                               '-selector script:path:/a -selector proc:main:true'],
                              env={**os.environ, "XDG_RUNTIME_DIR": home}, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertNotIn("warning", said.stdout)
        p.terminate()
        p.communicate(timeout=30)
        self.nothing_left(home)


if __name__ == "__main__":
    unittest.main(verbosity=2)
