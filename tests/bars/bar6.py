# SPDX-License-Identifier: Apache-2.0
"""Bar 6: an entry is created or deleted, and an open stream has the change: 200 times."""
import time

from bar import Verdict, percentile
from kit.api import ENTRY, Api, id_of, selectors_of
from kit.world import NODE, TD, World, other_uid, path_selector

ROUNDS = 100  # of a creation and a deletion each


def main():
    w, v = World(), Verdict()
    with w:
        w.start()
        uid = other_uid(1)
        mine = [f"unix:uid:{uid}", path_selector(w.tool("spiffe-client"))]
        w.entry("base", *mine)
        stream = w.scene.start("stream", [w.tool("spiffe-client"), "stream"], env=w.endpoint, uid=uid)
        stream.wait_out(f"spiffe://{TD}/base")
        api = Api()
        api.connect("admin", f"unix://{w.admin_socket}")
        created, deleted = [], []
        for i in range(ROUNDS):
            name = f"spiffe://{TD}/pushed/{i}"
            begin = time.time_ns()
            made = api.result("admin", ENTRY + "BatchCreateEntry", {"entries": [{
                "parent_id": id_of(NODE), "spiffe_id": id_of(name), "selectors": selectors_of(*mine)}]})
            line = stream.wait_out(rf"^(\d+) .*{name}( .*)?$", 10)
            created.append((int(line[1]) - begin) / 1e6)
            seen = len(stream.out.splitlines())
            begin = time.time_ns()
            api.result("admin", ENTRY + "BatchDeleteEntry", {"ids": [made["results"][0]["entry"]["id"]]})
            line = stream.wait_out(r"^(\d+) .*$", 10, count=seen + 1)
            deleted.append((int(line[1]) - begin) / 1e6)
        api.close()
        for what, values in (("created", created), ("deleted", deleted)):
            v.note(f"{what}, p50", f"{percentile(values, 50):.1f}", "ms")
            v.most(f"{what}, p99", percentile(values, 99), 100, "ms")
            v.note(f"{what}, slowest", f"{max(values):.1f}", "ms")
    v.end()


main()
