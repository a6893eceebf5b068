# SPDX-License-Identifier: Apache-2.0
"""Short lives: SVIDs, agents and CAs rotate under a steady stream of calls, and nobody notices."""
import json

from kit.net import Target
from kit.proc import BIN, CLIENTS
from kit.world import MINE, TD, Case, main, other_uid, path_selector

CALLS_S = 75
TOOL = f"spiffe://{TD}/tool/echo"
CALLER = f"spiffe://{TD}/agent/caller"


class Rotation(Case):
    # One life of a CA: prepared at 30 s, in force at 50 s. Agents then live for 10 s.
    server_extra = 'ca_ttl = "60s"\n'

    def test_calls_go_on_while_everything_rotates(self):
        w, uid = self.world, other_uid(1)
        w.entry("agent/caller", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")), ttl=60)
        w.entry("agent/python", f"unix:uid:{MINE}", path_selector(CLIENTS / "venv" / "bin" / "python"), ttl=60)
        w.entry("tool/echo", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"), ttl=60)
        target = Target()
        _, port = w.gate(target.port, CALLER)
        first = w.writ("bundle", "show")
        go = w.scene.start("go-watch", [w.tool("spiffe-client"), "watch"], env=w.endpoint, uid=uid)
        py = w.scene.start("py-watch", w.py_argv("watch"), env=w.endpoint)
        done = w.go("call", "-url", f"https://127.0.0.1:{port}/hello", "-expect", TOOL, "-for", f"{CALLS_S}s", "-rate",
                    "10", uid=uid, deadline_s=CALLS_S + 30)
        target.close()
        self.assertEqual(done.returncode, 0, done.stderr)
        summary = json.loads(done.stdout)
        print(summary)
        self.assertEqual(summary["failed"], 0, summary)
        self.assertGreaterEqual(summary["calls"], CALLS_S * 9)
        self.assertNotEqual(w.writ("bundle", "show"), first, "no CA was prepared")
        for watch in (go, py):
            serials = {line.split()[1] for line in watch.out.splitlines()}
            self.assertGreaterEqual(len(serials), 3, f"{watch.name} saw {watch.out!r}")
            self.assertTrue(watch.is_alive(), watch.err)


if __name__ == "__main__":
    main()
