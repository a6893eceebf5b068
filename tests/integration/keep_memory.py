# SPDX-License-Identifier: Apache-2.0
"""What the memory of our processes holds: the CA's key is in the signer alone, and the key of a dropped identity is nowhere."""
import base64
import re
from pathlib import Path

from kit.api import WORKLOAD, Api
from kit.net import openssl
from kit.proc import IS_ROOT, wait_for
from kit.world import MINE, TD, Case, main


def scalar(der):
    """The secret number of a P-256 key in PKCS#8 or SEC 1."""
    return re.search(rb"\x02\x01\x01\x04\x20(.{32})", der, re.S)[1]


def copies(pid, needle):
    """How often the bytes stand in the memory that the process can read."""
    found = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if mode[0] != "r" or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            try:
                mem.seek(begin)
                text = mem.read(end - begin)
            except OSError:
                continue
            found += text.count(needle) if text else 0
    return found


class KeepMemory(Case):
    @classmethod
    def prepare(cls):
        cls.world.start()
        cls.entry_id = cls.world.entry("me", f"unix:uid:{MINE}")

    def setUp(self):
        if not IS_ROOT:
            self.skipTest("needs root, to read the memory of others")

    def fetch(self):
        api = Api()
        api.connect("w", f"unix://{self.world.socket}")
        got = api.must(op="call", conn="w", method=WORKLOAD + "FetchX509SVID", meta={"workload.spiffe.io": "true"}, max=1)
        api.close()
        return [scalar(base64.b64decode(s["x509_svid_key"])) for s in got["responses"][0]["svids"]]

    def test_key_of_the_ca_is_in_the_signer_alone(self):
        keys = [scalar(openssl("pkey", "-in", p, "-outform", "DER")) for p in (self.world.server.data / "keys").glob("*.pem")]
        self.assertTrue(keys)
        run = self.world.server.run
        for key in keys:
            for pid in [run.pid, *run.children()["writ-server"]]:
                self.assertEqual(copies(pid, key), 0, f"process {pid}")
                self.assertEqual(copies(pid, key[::-1]), 0, f"process {pid}: least significant byte first")
                self.assertEqual(copies(pid, base64.b64encode(key)[2:40]), 0, f"process {pid}: as PEM")

    def test_key_of_a_dropped_identity_is_gone(self):
        w = self.world
        for _ in range(20):
            keys = self.fetch()
        pid = w.agent.run.pid
        self.assertGreater(copies(pid, keys[0]) + copies(pid, keys[0][::-1]), 0, "the scan finds keys that are in use")
        w.writ("entry", "delete", "-entryID", self.entry_id)
        wait_for(lambda: self.left(keys) == 0, 10, "no copy is left")

    def left(self, keys):
        pid = self.world.agent.run.pid
        return sum(copies(pid, k) + copies(pid, k[::-1]) for k in keys)


if __name__ == "__main__":
    main()
