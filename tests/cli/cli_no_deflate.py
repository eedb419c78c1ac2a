"""The program built without libnws_deflate: it works, and says what it lacks."""

import unittest
from cli_support import FakeServer, Server, dial, main, run

WORDS = "built without compression"


class NoDeflate(unittest.TestCase):
    def test_asking_is_a_mistake(self):
        for command in ("serve", "connect", "decode"):
            for how in ("", "=", "=takeover", "=no-takeover", "=bits=9", "=on"):
                with self.subTest(command=command, how=how):
                    done = run(command, f"--deflate{how}")
                    self.assertEqual((done.returncode, done.stdout), (1, ""))
                    self.assertIn(WORDS, done.stderr)

    def test_off_is_none(self):
        self.assertIn("which URL?", run("connect", "--deflate=off").stderr)
        done = run("decode", "--deflate=off", stdin="81 01 41")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

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

    def test_compressed_frames_lead_there(self):
        done = run("decode", stdin="c1 07 f2 48 cd c9 c9 07 00")
        self.assertEqual(done.returncode, 5)
        self.assertIn("--deflate", done.stderr)


if __name__ == "__main__":
    main()
