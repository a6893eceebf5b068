# SPDX-License-Identifier: Apache-2.0
"""An entry that is made or deleted reaches an open stream at once."""
import time

from kit.api import ENTRY, Api, id_of, selectors_of
from kit.world import NODE, TD, Case, main, other_uid, path_selector

ROUNDS = 20


class Push(Case):
    def test_each_change_arrives_within_a_second(self):
        w, uid = self.world, other_uid(1)
        mine = [f"unix:uid:{uid}", path_selector(w.tool("spiffe-client"))]
        w.entry("base", *mine)
        stream = w.scene.start("stream", [w.tool("spiffe-client"), "stream"], env=w.endpoint, uid=uid)
        stream.wait_out(f"spiffe://{TD}/base")
        api = Api()
        api.connect("admin", f"unix://{w.admin_socket}")
        worst = 0.0
        for i in range(ROUNDS):
            name = f"spiffe://{TD}/pushed/{i}"
            begin = time.time_ns()
            made = api.result("admin", ENTRY + "BatchCreateEntry", {"entries": [{
                "parent_id": id_of(NODE), "spiffe_id": id_of(name), "selectors": selectors_of(*mine)}]})
            line = stream.wait_out(rf"^(\d+) .*{name}\b.*$", 5)
            worst = max(worst, (int(line[1]) - begin) / 1e6)
            entry = made["results"][0]["entry"]["id"]
            seen = len(stream.out.splitlines())
            begin = time.time_ns()
            api.result("admin", ENTRY + "BatchDeleteEntry", {"ids": [entry]})
            stream.wait_out(r"^\d+ .*$", 5, count=seen + 1)
            last = stream.out.splitlines()[-1]
            self.assertNotIn(name, last)
            worst = max(worst, (int(last.split()[0]) - begin) / 1e6)
        api.close()
        print(f"{2 * ROUNDS} changes, the slowest took {worst:.1f} ms")
        self.assertLess(worst, 1000)

    def test_last_identity_gone_ends_the_stream_as_a_refusal(self):
        w, uid = self.world, other_uid(2)
        entry = w.entry("only", f"unix:uid:{uid}", path_selector(w.tool("spiffe-client")))
        if uid == other_uid(1):
            self.skipTest("needs root, to be another user")
        stream = w.scene.start("last", [w.tool("spiffe-client"), "stream"], env=w.endpoint, uid=uid)
        stream.wait_out(f"spiffe://{TD}/only")
        w.writ("entry", "delete", "-entryID", entry)
        stream.wait_out("error PermissionDenied .*no identity issued", 5)


if __name__ == "__main__":
    main()
