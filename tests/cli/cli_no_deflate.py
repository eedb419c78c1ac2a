"""The program built without libnws_deflate: it works, and says what it lacks."""

import unittest
from cli_support import FakeServer, Server, dial, main, run

WORDS = "built without compression"


class NoDeflate(unittest.TestCase):
    def test_asking_is_a_mistake(self):
        for command in ("serve", "connect"):
            for how in ("", "=", "=takeover", "=no-takeover", "=bits=9", "=on"):
                with self.subTest(command=command, how=how):
                    done = run(command, f"--deflate{how}")
                    self.assertEqual((done.returncode, done.stdout), (1, ""))
                    self.assertIn(WORDS, done.stderr)

    def test_off_is_none(self):
        self.assertIn("which URL?", run("connect", "--deflate=off").stderr)

    def test_nothing_is_offered(self):
        for args in ((), ("--deflate=off",)):
            fake = FakeServer(self, lambda wire: (wire.accept(), wire.send(8)))
            done = run("connect", *args, fake.url)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            head = "\n".join(fake.join()[0]).lower()
            self.assertIn("sec-websocket-key", head)
            self.assertNotIn("sec-websocket-extensions", head)

    def test_nothing_is_taken(self):
        for args in ((), ("--deflate=off",)):
            server = Server(self, *args)
            offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
            wire, head = dial(self, server.port, offer)
            self.assertNotIn("sec-websocket-extensions", "\n".join(head).lower())
            wire.send(1, b"plain")
            self.assertEqual(wire.recv()[:2], (1, b"plain"))


if __name__ == "__main__":
    main()
