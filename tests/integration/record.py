# SPDX-License-Identifier: Apache-2.0
"""The issuance record as an operator has it: a file that is full gets a number, one that was renamed is left at SIGHUP, and a
number of files is kept, but none that names a certificate which has not ended."""
import json
import os
import signal

from kit.proc import wait_for
from kit.world import MINE, Case, main

MIB = 1 << 20


class Record(Case):
    server_extra = "issuance_record_max_mb = 1\n\tissuance_record_keep = 1"

    def issue(self, name):
        """Makes an entry, and waits until its certificate is on record somewhere."""
        self.world.entry(name, f"unix:uid:{MINE}")
        wait_for(lambda: any(f"/{name}" in self.ids(f) for f in self.files()), 15, f"{name} is on record")

    def files(self):
        return sorted(f for f in os.listdir(self.data) if f.startswith("issued.jsonl"))

    def ids(self, file):
        found = ""
        for line in (self.data / file).read_text().splitlines():
            try:
                found += json.loads(line)["spiffe_id"] + "\n"
            except (ValueError, KeyError):
                pass
        return found

    def fill(self):
        with open(self.data / "issued.jsonl", "a", encoding="ascii") as f:
            f.write("{}\n" * (MIB // 3 + 1))

    def test_files_are_numbered_renamed_and_given_up(self):
        w = self.world
        self.data = w.server.data
        self.issue("first")
        self.assertEqual(self.files(), ["issued.jsonl"])
        w.server.run.stop()
        self.fill()
        w.server.start()
        self.issue("second")
        wait_for(lambda: "issued.jsonl.000001" in self.files(), 15, "the full file has a number")
        wait_for(lambda: "issued.jsonl" in self.files(), 15, "a new one has begun")
        self.issue("third")
        self.assertIn("/first", self.ids("issued.jsonl.000001"))
        self.assertIn("/third", self.ids("issued.jsonl"))
        self.assertEqual((self.data / "issued.jsonl").stat().st_mode & 0o7777, 0o600)
        # By hand, as logrotate does it.
        (self.data / "issued.jsonl").rename(self.data / "issued.jsonl-mine")
        w.server.run.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: "issued.jsonl" in self.files(), 15, "a new one has begun")
        self.issue("fourth")
        self.assertIn("/third", self.ids("issued.jsonl-mine"))
        # One file is kept; but what the first one names is still good.
        w.server.run.stop()
        self.fill()
        w.server.start()
        self.issue("fifth")
        wait_for(lambda: "issued.jsonl.000002" in self.files(), 15, "the full file has a number")
        self.assertIn("issued.jsonl.000001", self.files())
        # Long ago.
        os.utime(self.data / "issued.jsonl.000001", (1, 1))
        w.server.run.stop()
        self.fill()
        w.server.start()
        self.issue("sixth")
        wait_for(lambda: "issued.jsonl.000003" in self.files(), 15, "the full file has a number")
        wait_for(lambda: "issued.jsonl.000001" not in self.files(), 15, "the old one is gone")
        self.assertIn("issued.jsonl.000002", self.files())
        self.assertIn("issued.jsonl-mine", self.files())
        self.assertIn("record.removed", w.server.run.err)


if __name__ == "__main__":
    main()
