# SPDX-License-Identifier: Apache-2.0
"""Bar 7: kill -9 of each program at random moments under load.

usage: bar7.py [kills of each]"""
import json
import os
import random
import signal
import sys
import threading
import time

from bar import Verdict
from kit.api import ENTRY, Api, ApiError, id_of, selectors_of
from kit.net import Target
from kit.proc import BIN, wait_for
from kit.world import MINE, NODE, TD, World, other_uid, path_selector

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
TOOL, CALLER = f"spiffe://{TD}/tool/echo", f"spiffe://{TD}/agent/caller"


class Writer(threading.Thread):
    """Creates, changes and deletes entries without a pause, and knows what was acknowledged."""

    def __init__(self, socket):
        super().__init__(daemon=True)
        self.api, self.socket = Api(), socket
        self.stopping = threading.Event()
        self.there, self.unsure, self.writes = {}, set(), 0

    def run(self):
        n = 0
        self.api.connect("admin", f"unix://{self.socket}")
        while not self.stopping.is_set():
            n += 1
            path = f"/load/{n}"
            self.unsure.add(path)
            try:
                made = self.api.result("admin", ENTRY + "BatchCreateEntry", {"entries": [{
                    "parent_id": id_of(NODE), "spiffe_id": {"trust_domain": TD, "path": path},
                    "selectors": selectors_of(f"unix:uid:{100000 + n}")}]}, timeout_ms=2000)["results"][0]
                if made["status"]["code"] == 0:
                    self.there[path] = made["entry"]["id"]
                    self.unsure.discard(path)
                    self.writes += 1
                if n % 3 == 0:
                    victim = random.choice(list(self.there))
                    self.unsure.add(victim)
                    gone = self.api.result("admin", ENTRY + "BatchDeleteEntry", {"ids": [self.there[victim]]},
                                           timeout_ms=2000)["results"][0]
                    del self.there[victim]
                    if gone["status"]["code"] == 0:
                        self.unsure.discard(victim)
                        self.writes += 1
            except (ApiError, IndexError):
                self.stopping.wait(0.02)

    def stop(self):
        self.stopping.set()
        self.join(10)


def listed(api):
    found, token = set(), ""
    while True:
        page = api.result("check", ENTRY + "ListEntries", {"page_size": 1000, "page_token": token})
        found |= {e["spiffe_id"]["path"] for e in page["entries"]}
        token = page["next_page_token"]
        if not token:
            return {p for p in found if p.startswith("/load/")}


def serials(w):
    """All serials of the issuance record."""
    found = []
    for path in w.server.data.rglob("issued*"):
        for line in path.read_bytes().splitlines():
            try:
                found.append(json.loads(line)["serial"])
            except (ValueError, KeyError):
                pass  # the line that a kill cut, or one that is no issuance
    return found


class Bar:
    def __init__(self):
        self.w, self.v = World(server_extra='ca_ttl = "1h"\nratelimit { signing = false attestation = false }\n'), Verdict()
        self.uid = other_uid(1)

    def prepare(self):
        w = self.w.start()
        w.entry("agent/caller", f"unix:uid:{self.uid}", path_selector(w.tool("spiffe-client")), ttl=60)
        w.entry("tool/echo", f"unix:uid:{MINE}", path_selector(BIN / "writ-gate"), ttl=60)
        self.target = Target()
        self.gate, self.port = w.gate(self.target.port, CALLER)

    def caller(self, name, seconds):
        url = f"https://127.0.0.1:{self.port}/hello"
        return self.w.scene.start(name, [self.w.tool("spiffe-client"), "call", "-url", url, "-expect", TOOL, "-for",
                                         f"{seconds}s", "-rate", "10"], env=self.w.endpoint, uid=self.uid)

    def healthy(self):
        return self.w.writ("healthcheck", check=False).returncode == 0

    def under_load(self, what, kill, pause=(0.05, 0.6)):
        """KILLS rounds of kill() with a steady caller and a stream; returns (stream, caller's summary)."""
        w = self.w
        stream = w.scene.start(f"stream-{what}", [w.tool("spiffe-client"), "stream"], env=w.endpoint, uid=self.uid)
        stream.wait_out("spiffe://")
        caller = self.caller(f"calls-{what}", 3600)
        for i in range(KILLS):
            time.sleep(random.uniform(*pause))
            kill(i)
        caller.popen.send_signal(signal.SIGTERM)
        caller.wait_end(20)
        return stream, json.loads(caller.out)

    def server(self):
        w, v = self.w, self.v
        writer = Writer(w.admin_socket)
        writer.start()
        worst = 0.0

        def kill(i):
            nonlocal worst
            if i % 2:
                w.server.run.kill()
                begin = time.monotonic()
                wait_for(lambda: not w.server.run.children(), 5, "the children of a killed server end")
                w.server.start(ready=False)
            else:
                pids = [p for name, ps in w.server.run.children().items() if name != "writ-signer" for p in ps]
                begin = time.monotonic()
                for pid in pids or [w.server.run.pid]:
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda: not os.path.exists(f"/proc/{pids[0]}") or not w.server.run.is_alive(), 5, "it is dead")
                if not w.server.run.is_alive():
                    w.server.start(ready=False)
            wait_for(self.healthy, 20, "the server is back")
            worst = max(worst, time.monotonic() - begin)

        stream, summary = self.under_load("server", kill)
        writer.stop()
        api = Api()
        api.connect("check", f"unix://{w.admin_socket}")
        have = listed(api)
        api.close()
        v.note("acknowledged changes", writer.writes)
        v.most("acknowledged entries lost", len(set(writer.there) - have - writer.unsure), 0)
        v.most("deleted entries that came back", len(have - set(writer.there) - writer.unsure), 0)
        v.most("server: back after", worst, 2, "s")
        v.most("server: stream errors", stream.out.count(" error "), 0)
        v.most("server: failed calls", summary["failed"], 0)

    def signer(self):
        w, v = self.w, self.v
        worst, n = 0.0, 0

        def kill(_):
            nonlocal worst, n
            pids = wait_for(lambda: w.server.run.children().get("writ-signer"), 5, "there is a signer")
            os.kill(pids[0], signal.SIGKILL)
            begin = time.monotonic()
            n += 1
            wait_for(lambda: w.writ("x509", "mint", "-spiffeID", f"spiffe://{TD}/minted/{n}", check=False).returncode == 0,
                     20, "certificates are signed again")
            worst = max(worst, time.monotonic() - begin)

        stream, summary = self.under_load("signer", kill)
        v.most("signer: back after", worst, 2, "s")
        v.most("signer: stream errors", stream.out.count(" error "), 0)
        v.most("signer: failed calls", summary["failed"], 0)

    def agent(self):
        w, v = self.w, self.v
        worst = 0.0

        def kill(_):
            nonlocal worst
            seen = len([x for x in stream_of("agent").out.splitlines() if " spiffe://" in x])
            w.agent.run.kill()
            begin = time.monotonic()
            w.agent.start(ready=False)
            stream_of("agent").wait_out(r"^\d+ spiffe://", 20, count=seen + 1)
            worst = max(worst, time.monotonic() - begin)

        def stream_of(what):
            return next(p for p in w.scene.programs if p.name == f"stream-{what}")

        _, summary = self.under_load("agent", kill)
        v.most("agent: clients served again after", worst, 5, "s")
        v.most("agent: failed calls", summary["failed"], 0)
        v.most("agents that had to join anew", json.loads(w.writ("agent", "count", "-o", "json"))["count"] - 1, 0)

    def gates(self):
        w, v = self.w, self.v
        gate = {"now": self.gate}
        argv = [BIN / "writ-gate", "run", "-listen", f"127.0.0.1:{self.port}", "-target", f"127.0.0.1:{self.target.port}",
                "-allow", CALLER]
        down = [0.0]

        def kill(i):
            gate["now"].kill()
            begin = time.monotonic()
            gate["now"] = w.scene.start(f"gate-{i}", argv, env=w.endpoint)
            gate["now"].wait_out("listening on port")
            down[0] += time.monotonic() - begin

        _, summary = self.under_load("gate", kill)
        # Ten calls a second: those in flight at a kill, and those that came while there was no gate.
        v.note("gate: away in all", f"{down[0]:.2f}", "s")
        v.most("gate: failed calls beyond those", summary["failed"] - KILLS - int(down[0] * 10 + 1), 0)

    def run(self):
        with self.w:
            self.prepare()
            for part in (self.server, self.signer, self.agent, self.gates):
                part()
            found = serials(self.w)
            self.v.note("certificates in the record", len(found))
            self.v.most("serials that were given twice", len(found) - len(set(found)), 0)
            self.v.least("certificates in the record", len(found), 1)
        self.v.end()


Bar().run()
