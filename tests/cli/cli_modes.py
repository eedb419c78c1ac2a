"""nws connect in scripts: one-shot, framings, JSON, secrets, colours."""

import base64
import json
import os
import pty
import struct
import tempfile
import threading
import unittest
from cli_support import FakeServer, Running, Server, close_payload, frame, main, run


def told(wire):
    """The frames up to and with the close, which is answered."""
    wire.accept()
    got = []
    while not got or got[-1][0] != 8:
        got.append(wire.recv())
    wire.send(8, got[-1][1])
    return got


def says(*frames):
    def script(wire):
        wire.accept()
        wire.sock.sendall(b"".join(frames))
        got = wire.recv()
        while got[0] != 8:
            got = wire.recv()
        wire.send(8, got[1])
        return got

    return script


class OneShot(unittest.TestCase):
    def test_messages_and_answers(self):
        server = Server(self)
        done = run("connect", "-m", "a", "--message", "", "-m", "c", "-c", "3", server.url,
                   stdin="never read\n")  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "a\n\nc\n", ""))

    def test_input_is_left_alone(self):
        server = Server(self)
        child = Running(self, "connect", "-m", "x", "-c", "1", server.url)
        self.assertEqual(child.end(keep=True)[:2], (0, "x\n"))

    def test_no_more_than_expected(self):
        fake = FakeServer(self, says(frame(1, b"1"), frame(1, b"2"), frame(2, b"3")))
        done = run("connect", "-c", "2", "--json-lines", fake.url)
        self.assertEqual(done.stdout.count("\n"), 2)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(fake.join()[:2], (8, close_payload(1000)))

    def test_no_answer_in_time(self):
        fake = FakeServer(self, says(frame(1, b"one")))
        done = run("connect", "-m", "x", "-c", "2", "-t", "0.3", fake.url)
        self.assertEqual((done.returncode, done.stdout), (5, "one\n"))
        self.assertIn("1 of 2 expected messages", done.stderr)

    def test_peer_closes_before(self):
        for code, ours in ((1000, 5), (4000, 4)):
            fake = FakeServer(self, says(frame(8, close_payload(code))))
            done = run("connect", "-m", "x", "-c", "1", fake.url)
            self.assertEqual(done.returncode, ours, done.stderr)

    def test_binary_and_not_utf8(self):
        fake = FakeServer(self, told)
        run("connect", "-b", "-m", b"\xff", fake.url)
        self.assertEqual(fake.join()[0][:2], (2, b"\xff"))
        fake = FakeServer(self, told)
        done = run("connect", "-m", "ok", "-m", b"\xff", fake.url)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 of the command line is not UTF-8", done.stderr)


class Framings(unittest.TestCase):
    def test_null(self):
        server = Server(self)
        text = "one\nline\0\0three"
        done = run("connect", "--null", server.url, stdin=text)
        self.assertEqual((done.returncode, done.stdout), (0, text + "\0"))
        data = bytes(range(1, 256))
        done = run("connect", "--null", "-b", server.url, stdin=data + b"\0")
        self.assertEqual(done.out_bytes, data + b"\0")

    def prefixed(self, *messages):
        return b"".join(struct.pack(">I", len(m)) + m for m in messages)

    def test_length_prefixed(self):
        server = Server(self, "--max-message", "8M")
        data = self.prefixed(b"", b"a\n\0", bytes(range(256)) * 9000, b"z" * (3 << 20), b"")
        args = ("connect", "--max-message", "8M", "--length-prefixed", server.url)
        done = run(*args, "-b", stdin=data)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.out_bytes, data)
        text = self.prefixed("grüße\n".encode(), b"")
        self.assertEqual(run(*args, stdin=text).out_bytes, text)

    def test_length_cut_anywhere(self):
        fake = FakeServer(self, told)
        child = Running(self, "connect", "--length-prefixed", fake.url)
        for byte in self.prefixed(b"ab", b"", b"c"):
            child.process.stdin.write(bytes([byte]))
        self.assertEqual(child.end()[0], 0)
        self.assertEqual([p for _, p, _ in fake.join()[:3]], [b"ab", b"", b"c"])

    def test_input_ends_inside(self):
        for rest in (b"\0\0", b"\0\0\0\5abc", b"\0\0\0\5"):
            fake = FakeServer(self, told)
            done = run("connect", "--length-prefixed", fake.url,
                       stdin=self.prefixed(b"whole") + rest)  # fmt: skip
            self.assertEqual(done.returncode, 1)
            self.assertIn("ends inside message 2", done.stderr)
            frames = fake.join()
            self.assertEqual(frames[0][:2], (1, b"whole"))
            self.assertEqual(frames[-1][:2], (8, close_payload(1001)))

    def test_large_both_ways(self):
        server = Server(self, "--max-message", "none")
        data = os.urandom(16 << 20)
        done = run("connect", "--deflate=off", "--max-message", "none", "--length-prefixed", "-b",
                   server.url, stdin=self.prefixed(data))  # fmt: skip
        self.assertEqual(done.out_bytes, self.prefixed(data))

    def test_json(self):
        text = 'a"\\\n\t\x00\x7f\x9b\x1fgrüße\U0001f600'
        data = bytes(range(256)) * 5
        fake = FakeServer(
            self,
            says(
                frame(1, text.encode()), frame(2, data), frame(2, b""), frame(9, b"p"),
                frame(8, close_payload(1000, '"bye')),
            ),  # fmt: skip
        )
        done = run("connect", "-v", "-n", "--json-lines", fake.url)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 5)
        got = [json.loads(line) for line in lines]
        self.assertEqual(got[0], {"type": "text", "data": text})
        self.assertEqual(base64.b64decode(got[1]["base64"], validate=True), data)
        self.assertEqual(got[2], {"type": "binary", "base64": ""})
        self.assertEqual(got[3], {"type": "ping", "base64": "cA=="})
        self.assertEqual(got[4], {"type": "close", "code": 1000, "reason": '"bye'})
        self.assertTrue(all(c >= " " and c != "\x7f" for c in "".join(lines)))


class Secrets(unittest.TestCase):
    def sent(self, *args, **options):
        fake = FakeServer(self, lambda wire: (wire.accept(), wire.recv(), wire.send(8))[0])
        done = run("connect", "-v", *args, fake.url, **options)
        self.assertNotIn("s3cret", done.stderr + done.stdout)
        self.assertEqual(done.returncode, 0)
        lines = [x for x in fake.join() if x.startswith("Authorization: ")]
        self.assertEqual(len(lines), 1)
        return lines[0].split(" ", 1)[1]

    def test_forms(self):
        basic = "Basic " + base64.b64encode(b"anna:s3cret:x").decode()
        self.assertEqual(self.sent("--auth", "anna:s3cret:x"), basic)
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"anna:s3cret:x\nmore\n")
            file.flush()
            self.assertEqual(self.sent("--auth", "@" + file.name), basic)
        environment = {**os.environ, "NWS_TEST_TOKEN": "s3cret"}
        self.assertEqual(
            self.sent("--bearer", "$NWS_TEST_TOKEN", env=environment), "Bearer s3cret"
        )
        self.assertEqual(self.sent("--bearer", "s3cret"), "Bearer s3cret")

    def test_mistakes_keep_them(self):
        for value in ("s3cret\x01", "s3cret"):
            done = run("connect", "--auth", value, "ws://127.0.0.1:9/")
            self.assertEqual(done.returncode, 1)
            self.assertNotIn("s3cret", done.stderr)


class Colours(unittest.TestCase):
    def shown(self, **changes):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **changes}
        fake = FakeServer(self, says(frame(1, b"text"), frame(8, close_payload(4000))))
        child = Running(self, "connect", "-n", fake.url, env=environment,
                        stdout=theirs, stderr=theirs)  # fmt: skip
        self.assertEqual(child.end()[0], 4)
        os.close(theirs)
        got = os.read(ours, 4096)
        os.close(ours)
        return got

    def test_only_where_wanted(self):
        coloured = self.shown()
        self.assertIn(b"\x1b[36mtext\x1b[0m\r\n", coloured)
        for changes in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn(b"\x1b", self.shown(**changes))
        fake = FakeServer(self, says(frame(1, b"text"), frame(8)))
        done = run("connect", "-n", fake.url, env={**os.environ, "NO_COLOR": ""})
        self.assertEqual(done.stdout, "text\n")


if __name__ == "__main__":
    main()
