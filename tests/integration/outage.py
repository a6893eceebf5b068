# SPDX-License-Identifier: Apache-2.0
"""The server is away for longer than everything lives: nothing expired is served, and all is well soon after."""
import time

from kit.proc import wait_for
from kit.world import TD, Case, main, other_uid, path_selector

CALLER = f"spiffe://{TD}/agent/caller"


class Outage(Case):
    # Agents live for 10 s here, SVIDs for what is left of it.
    server_extra = 'ca_ttl = "5m"\nagent_ttl = "10s"\n'

    def test_long_outage_heals_by_itself_without_a_token(self):
        w, uid = self.world, other_uid(1)
        w.entry("agent/caller", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), ttl=60)
        first = w.go("fetch", uid=uid).stdout.split()
        self.assertEqual(first[0], CALLER)
        w.server.run.kill_session()
        kept = w.go("fetch", uid=uid).stdout.split()
        self.assertEqual(kept[0], CALLER, "an agent without its server serves what it has")
        end = int(kept[2])
        wait_for(lambda: time.time() > end + 1, 75, "the SVID has expired")
        gone = w.go("fetch", "-timeout", "2s", uid=uid)
        self.assertNotEqual(gone.returncode, 0, f"an expired SVID was served: {gone.stdout}")
        self.assertNotIn("no identity issued", gone.stderr, "an outage is not a refusal")
        self.assertTrue(w.agent.run.is_alive())
        self.assertFalse(w.agent.is_ready())
        w.server.start()
        back = time.monotonic()
        done = w.go("fetch", "-timeout", "30s", uid=uid, deadline_s=40)
        self.assertEqual(done.returncode, 0, done.stderr)
        print(f"served again {time.monotonic() - back:.1f} s after the server's return")
        self.assertNotEqual(done.stdout.split()[1], kept[1])
        self.assertIn("1 attested agent", w.writ("agent", "list"))


if __name__ == "__main__":
    main()
