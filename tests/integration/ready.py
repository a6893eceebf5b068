# SPDX-License-Identifier: Apache-2.0
"""What systemd is told of the agent's start: ready is an agent with an identity, kept or just got, that serves. The socket is
ours, and what is written there is read as systemd reads it."""
import socket

from kit.proc import wait_for
from kit.world import Case, main


class Notified:
    """NOTIFY_SOCKET."""

    def __init__(self, path):
        path.unlink(missing_ok=True)
        self.socket, self.path, self.lines = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), path, []
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.env = {"NOTIFY_SOCKET": str(path)}

    def read(self):
        try:
            while True:
                self.lines += self.socket.recv(65536).decode().splitlines()
        except BlockingIOError:
            return self.lines

    def close(self):
        self.socket.close()
        self.path.unlink()


class Ready(Case):
    @classmethod
    def prepare(cls):
        cls.world.start(agent=False)

    def setUp(self):
        self.agent, self.server = self.world.agent, self.world.server
        self.told = Notified(self.world.dir / "notify")

    def tearDown(self):
        if self.agent.run and self.agent.run.is_alive():
            self.agent.run.stop()
        if not self.server.run.is_alive():
            self.server.start()
        self.told.close()

    def start(self, *flags):
        return self.agent.start(*flags, ready=False, env=self.told.env)

    def token(self, text):
        path = self.world.dir / "token"
        path.write_text(text)
        path.chmod(0o600)
        return "-joinTokenFile", path

    def is_told_ready(self):
        return "READY=1" in self.told.read()

    def wait_ready(self):
        wait_for(self.is_told_ready, 15, "READY=1")

    def wait_status(self, text):
        wait_for(lambda: any(line.startswith("STATUS=") and text in line for line in self.told.read()), 15, text)

    def test_1_a_refused_token_fails_the_start(self):
        run = self.start(*self.token("no-such-token"))
        self.assertNotEqual(run.wait_end(15), 0)
        self.assertIn("the server refuses the join token", run.err)
        self.assertFalse(self.is_told_ready())
        self.assertIn("STOPPING=1", self.told.lines)
        self.assertIn("the server refuses the join token", [line for line in self.told.lines if line.startswith("STATUS=")][-1])

    def test_2_no_server_is_waited_for_in_bounds(self):
        token = self.token(self.world.token())
        self.server.run.stop()
        self.start(*token)
        self.wait_status("no identity yet: ")
        wait_for(lambda: "EXTEND_TIMEOUT_USEC=20000000" in self.told.read(), 5, "time is asked for")
        self.wait_status("refused")  # why: nobody listens there
        self.assertFalse(self.is_told_ready())
        self.server.start()
        self.wait_ready()
        self.assertIn("agent.joined", self.agent.run.err)
        self.assertIn(f"STATUS={self.world.socket}", self.told.lines)
        self.assertEqual(self.told.lines.count("READY=1"), 1)

    def test_3_a_kept_identity_is_enough_without_a_server(self):
        self.server.run.stop()
        self.start()
        self.wait_ready()
        self.assertTrue(self.world.socket.is_socket())
        self.assertFalse(any(line.startswith("STATUS=no identity") for line in
                             self.told.lines[self.told.lines.index("READY=1"):]))


if __name__ == "__main__":
    main()
