# SPDX-License-Identifier: Apache-2.0
"""Bar 45: Slurm for real: a batch job gets the identity of its user's batch steps, an interactive step of the same user does
not, nor does the same user outside of a job.

Needs root, v1 cgroups and slurmctld, slurmd, slurm-client and munge. usage: bar45.py [jobs]"""
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from bar import Verdict
from kit.net import free_port
from kit.proc import IS_ROOT, wait_for
from kit.world import AGENT_CONF, JOIN_TOKEN, World

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
BARS = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
NEEDED = ["slurmctld", "slurmd", "sbatch", "srun", "munged"]
SLURM_CONF = """ClusterName=writ
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge.sock
CryptoType=crypto/munge
SlurmctldPort={ctld}
SlurmdPort={slurmd}
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool
SlurmctldLogFile={dir}/ctld.log
SlurmdLogFile={dir}/slurmd.log
SlurmctldPidFile={dir}/ctld.pid
SlurmdPidFile={dir}/slurmd.pid
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
CGROUP_CONF = """CgroupMountpoint=/sys/fs/cgroup
CgroupPlugin=cgroup/v1
ConstrainCores=no
ConstrainRAMSpace=no
ConstrainDevices=no
"""


class Slurm:
    """A cluster of this machine alone."""

    def __init__(self, w):
        self.w, d = w, w.dir / "slurm"
        for name in ("", "state", "spool"):
            (d / name).mkdir(mode=0o755)
        self.dir, self.env = d, {**os.environ, "SLURM_CONF": str(d / "slurm.conf")}
        (d / "munge.key").write_bytes(os.urandom(1024))
        (d / "munge.key").chmod(0o600)
        self.host = os.uname().nodename.split(".")[0]
        (d / "slurm.conf").write_text(SLURM_CONF.format(host=self.host, dir=d, ctld=free_port(), slurmd=free_port()))
        (d / "cgroup.conf").write_text(CGROUP_CONF)
        w.scene.start("munged", ["munged", "-F", "--force", f"--key-file={d}/munge.key", f"--socket={d}/munge.sock",
                                 f"--pid-file={d}/munge.pid", f"--log-file={d}/munge.log", f"--seed-file={d}/munge.seed"])
        wait_for((d / "munge.sock").exists, 10, "munged listens")
        w.scene.start("slurmctld", ["slurmctld", "-D", "-c"], env=self.env)
        w.scene.start("slurmd", ["slurmd", "-D"], env=self.env)
        wait_for(lambda: "idle" in self.run("sinfo", "-h"), 30, "the node is idle")

    def run(self, *argv, uid=None):
        who = {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []} if uid else {}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=self.env, cwd="/tmp", **who)
        return done.stdout + done.stderr

    def batch(self, n, uid):
        """What a batch job of this user printed."""
        out = self.w.dir / "jobs" / f"job-{n}"
        job = self.w.dir / "jobs" / "job.sh"
        job.write_text(f"#!/bin/sh\nexec {PYTHON} -B {self.w.dir}/contained.py {self.w.socket}\n")
        job.chmod(0o755)
        said = self.run("sbatch", "--wait", "--no-requeue", "-o", str(out), str(job), uid=uid)
        if not out.exists():
            raise AssertionError(f"sbatch: {said}")
        return out.read_text()


def run(w, v):
    uid, other = (pwd.getpwnam(name).pw_uid for name in ("games", "mail"))  # Slurm wants users with names
    attestors = JOIN_TOKEN + '\n\tWorkloadAttestor "slurm" { plugin_data { } }'
    w.agent.conf.write_text(AGENT_CONF.format(**{**w.agent.values, "attestors": attestors}))
    for name in ("h2.py", "contained.py"):
        shutil.copy(BARS / name, w.dir / name)
    w.dir.chmod(0o755)
    (w.dir / "jobs").mkdir()
    (w.dir / "jobs").chmod(0o1777)
    w.start()
    w.entry("job", f"slurm:uid:{uid}", "slurm:step:batch", f"unix:uid:{uid}")
    slurm = Slurm(w)
    v.least("batch jobs served", sum("SERVED" in slurm.batch(n, uid) for n in range(JOBS)), JOBS)
    ask = [PYTHON, "-B", str(w.dir / "contained.py"), str(w.socket)]
    step = slurm.run("srun", "-n1", *ask, uid=uid)
    v.note("an interactive step", step.strip())
    v.most("interactive steps served", int("SERVED" in step or "REFUSED" not in step), 0)
    v.most("outside of a job served", int("REFUSED" not in slurm.run(*ask, uid=uid)), 0)
    v.most("jobs of another user served", int("REFUSED" not in slurm.batch("other", other)), 0)


def main():
    missing = [name for name in NEEDED if not shutil.which(name)]
    if not IS_ROOT or missing or not os.access("/sys/fs/cgroup/freezer/cgroup.procs", os.W_OK):
        print(f"skipped: needs root, v1 cgroups and {' '.join(missing) or 'nothing else'}")
        sys.exit(77)
    w, v = World(), Verdict()
    with w:
        run(w, v)
    v.end()


main()
