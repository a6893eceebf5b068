# SPDX-License-Identifier: Apache-2.0
"""An authority that the server no longer stands by: what it has signed is renewed now, the agent's own SVID included. Our server
has no call for that yet, so the mark is made in its database; it goes on with that authority, which no server should do."""
import json
import sqlite3
import unittest
from datetime import datetime

from kit.proc import wait_for
from kit.world import MINE, Case, main

SPREAD_S, AGAIN_S = 10, 30 * 0.75  # WRIT_TAINT_SPREAD_MS, and WRIT_TAINT_AGAIN_MS less its jitter


class Taint(Case):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.world.entry("honest", f"unix:uid:{MINE}", ttl=3600)
        wait_for(lambda: cls.world.writ("svid", "fetch", check=False).returncode == 0, 10, "an SVID")

    def issued(self, what):
        """When an ID was given out, in order, in seconds."""
        lines = (self.world.server.data / "issued.jsonl").read_text().splitlines()
        return [datetime.fromisoformat(line["time"]).timestamp() for line in map(json.loads, lines) if what in line["spiffe_id"]]

    def taint(self):
        """Of all CAs: the pack holds "LENGTH:" and, of so many bytes, a mark and the certificate, and ","."""
        db = sqlite3.connect(self.world.server.data / "datastore.sqlite3")
        (pack,) = db.execute("SELECT cas FROM trust WHERE td = 'example.org'").fetchone()
        new, rest = b"", bytes(pack)
        while rest:
            size, rest = rest.split(b":", 1)
            item, rest = rest[:int(size)], rest[int(size) + 1:]
            self.assertEqual(item[:1], b"0")
            new += size + b":1" + item[1:] + b","
        db.execute("UPDATE trust SET cas = ?, sequence = sequence + 1 WHERE td = 'example.org'", (new,))
        db.commit()
        db.close()

    def test_what_it_signed_is_renewed_and_then_not_over_and_over(self):
        w, before = self.world, {what: len(self.issued(what)) for what in ("/honest", "/spire/agent/")}
        w.server.run.stop()
        self.taint()
        w.server.start()
        for what, count in before.items():
            wait_for(lambda w=what, n=count: len(self.issued(w)) > n, SPREAD_S + 20, f"a new {what}")
        self.assertIn("bundle.tainted", w.agent.run.err)
        # The new ones are no better. They are not asked for again before AGAIN_S.
        for what, count in before.items():
            new = self.issued(what)[count:]
            for first, second in zip(new, new[1:]):
                self.assertGreaterEqual(second - first, AGAIN_S - 1)
        self.assertEqual(w.writ("svid", "fetch", check=False).returncode, 0)


if __name__ == "__main__":
    main()
