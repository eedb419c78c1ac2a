"""nws connect: both directions, closing, and an exit code for every end."""

import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time
import unittest
from cli_support import (
    LIMIT, NWS, FakeServer, Running, Server, close_payload, frame, free_port, main,
    run,
)  # fmt: skip


def told(wire):
    """The frames up to and with the close, which is answered."""
    wire.accept()
    got = []
    while not got or got[-1][0] != 8:
        got.append(wire.recv())
    wire.send(8, got[-1][1])
    return got


def talks(*frames):
    """A server that says these bytes and waits for the client's close."""

    def script(wire):
        wire.accept()
        wire.sock.sendall(b"".join(frames))
        try:
            got = wire.recv()
            wire.send(8, got[1][:2])
            return got
        except (EOFError, ConnectionError):
            return None

    return script


class Messages(unittest.TestCase):
    def test_echo(self):
        server = Server(self)
        lines = "hello\n\ngrüße\n" + "x" * 3000 + "\nlast, without line end"
        done = run("connect", server.url, stdin=lines)
        self.assertEqual(done.stdout, lines + "\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_many_lines(self):
        server = Server(self)
        lines = "".join(f"line {i}\n" for i in range(20000))
        done = run("connect", server.url, stdin=lines)
        self.assertEqual(done.stdout, lines)
        self.assertEqual(done.returncode, 0)

    def test_binary(self):
        server = Server(self)
        data = bytes(range(256))
        done = run("connect", "--raw", server.url, stdin=data)
        self.assertEqual((done.returncode, done.out_bytes), (0, data))
        done = run("connect", "-b", server.url, stdin=data)
        self.assertEqual(done.out_bytes, data.replace(b"\n", b""))

    def test_binary_in_hex(self):
        fake = FakeServer(self, talks(frame(2, bytes(range(40))), frame(8)))
        done = run("connect", "--stay", fake.url)
        first32 = " ".join(f"{i:02x}" for i in range(32))
        self.assertEqual(done.stdout, f"binary, 40 bytes: {first32} ... (8 more)\n")

    def test_long_line_leaves_in_fragments(self):
        fake = FakeServer(self, told)
        line = b"y" * (5 << 19)
        self.assertEqual(run("connect", fake.url, stdin=line + b"\nz\n").returncode, 0)
        frames = fake.join()
        opcodes = [(op, fin) for op, _, fin in frames]
        self.assertEqual(
            opcodes, [(1, False), (0, False), (0, True), (1, True), (8, True)]
        )
        self.assertEqual(b"".join(p for _, p, _ in frames[:3]), line)

    def test_request(self):
        def script(wire):
            request = wire.accept("Sec-WebSocket-Protocol: b\r\n")
            wire.recv()
            wire.send(8)
            return request

        fake = FakeServer(self, script)
        done = run(
            "connect", "-v", "-H", "Authorization: Bearer s3cret", "-H", "X-A:  1 ",
            "-H", "cookie: id=s3cret", "-s", "a", "-s", "b", "-o", "http://x.test",
            fake.url + "p?q=1",
        )  # fmt: skip
        request = fake.join()
        self.assertEqual(request[0], "GET /p?q=1 HTTP/1.1")
        for line in (
            "Authorization: Bearer s3cret", "X-A: 1", "cookie: id=s3cret",
            "Origin: http://x.test", "Sec-WebSocket-Protocol: a, b",
        ):  # fmt: skip
            self.assertIn(line, request)
        self.assertNotIn("s3cret", done.stderr)
        for words in ("GET /p?q=1", "X-A: 1", "Authorization: (not", "< 101 Switch",
                      "Upgrade: websocket", "subprotocol b"):  # fmt: skip
            self.assertIn(words, done.stderr)

    def test_verbose_control_frames(self):
        fake = FakeServer(
            self, talks(frame(9, b"\x1b[2J"), frame(8, close_payload(1000, "\x07")))
        )
        done = run("connect", "-v", "--stay", fake.url)
        self.assertIn('< ping "\\x1b[2J"', done.stderr)
        self.assertIn('< close 1000 (normal closure) "\\x07"', done.stderr)
        self.assertEqual(done.returncode, 0)

    def test_not_utf8(self):
        fake = FakeServer(self, told)
        done = run("connect", fake.url, stdin=b"good\n\xff\nnever sent\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 2", done.stderr)
        frames = fake.join()
        self.assertEqual(frames[0][:2], (1, b"good"))
        self.assertEqual(frames[1][:2], (8, close_payload(1001)))

    def test_terminal_gets_no_escapes(self):
        fake = FakeServer(
            self, talks(frame(1, b"\x1b[2Ja\n\xc2\x9bb"), frame(2, b"\x1b"), frame(8))
        )
        ours, theirs = pty.openpty()
        child = Running(self, "connect", "-b", "--stay", fake.url, stdout=theirs)
        self.assertEqual(child.end()[0], 0)
        os.close(theirs)
        shown = os.read(ours, 4096)
        os.close(ours)
        self.assertEqual(
            shown, b"\\x1b[2Ja\r\n\\u{9b}b\r\nbinary, 1 bytes: 1b\r\n"
        )

    def test_backpressure(self):
        go = threading.Event()
        total = 0

        def script(wire):
            nonlocal total
            wire.accept()
            self.assertTrue(go.wait(LIMIT))
            while True:
                opcode, payload, _ = wire.recv()
                if opcode == 8:
                    wire.send(8, payload)
                    return
                total += len(payload)

        fake = FakeServer(self, script)
        self.addCleanup(go.set)
        child = Running(self, "connect", "--raw", fake.url)
        pipe = child.process.stdin
        os.set_blocking(pipe.fileno(), False)
        block, sent, calm = bytes(1 << 16), 0, 0
        while sent < 64 << 20 and calm < 20:
            count = pipe.write(block)
            sent += count or 0
            calm = 0 if count else calm + 1
            time.sleep(0 if count else 0.05)
        self.assertLess(sent, 24 << 20)
        go.set()
        self.assertEqual(child.end()[0], 0)
        fake.join()
        self.assertEqual(total, sent)


class Closing(unittest.TestCase):
    def close_after(self, fake, *args, act):
        child = Running(self, "connect", *args, fake.url)
        act(child)
        code, _, err = child.end(keep=True)
        return code, fake.join()[-1], err

    def test_end_of_input(self):
        code, last, _ = self.close_after(
            FakeServer(self, told), act=lambda c: c.process.stdin.close()
        )
        self.assertEqual((code, last), (0, (8, close_payload(1000), True)))

    def interrupted(self, number, *args):
        def script(wire):
            wire.accept()
            wire.send(1, b"ready")
            frame_ = wire.recv()
            wire.send(8, frame_[1])
            return [frame_]

        def act(child):
            self.assertEqual(child.line(), "ready")
            child.interrupt(number)

        return self.close_after(FakeServer(self, script), *args, act=act)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            code, last, err = self.interrupted(number)
            self.assertEqual((code, last[:2]), (0, (8, close_payload(1001))))
            self.assertEqual(err, "")  # no word of Ctrl-C where there is none

    def test_own_code(self):
        code, last, _ = self.interrupted(signal.SIGINT, "--close", "4001:bye")
        self.assertEqual((code, last[:2]), (0, (8, close_payload(4001, "bye"))))
        done_by_eof = self.close_after(
            FakeServer(self, told),
            "--close", "3000",
            act=lambda c: c.process.stdin.close(),
        )  # fmt: skip
        self.assertEqual(done_by_eof[1][:2], (8, close_payload(3000)))

    def test_second_signal_drops(self):
        gone = threading.Event()

        def script(wire):
            wire.accept()
            wire.send(1, b"ready")
            self.assertEqual(wire.recv()[0], 8)
            wire.send(1, b"still here")
            ended = wire.at_end()
            gone.set()
            return ended

        fake = FakeServer(self, script)
        child = Running(self, "connect", fake.url)
        self.assertEqual(child.line(), "ready")
        child.interrupt()
        self.assertEqual(child.line(), "still here")
        child.interrupt()
        self.assertEqual(child.end(keep=True)[0], 5)
        self.assertTrue(fake.join())

    def test_late_messages_are_printed(self):
        def script(wire):
            wire.accept()
            opcode, payload, _ = wire.recv()
            while opcode != 8:
                opcode, payload, _ = wire.recv()
            wire.send(1, b"late")
            wire.send(8, payload)

        fake = FakeServer(self, script)
        done = run("connect", fake.url, stdin="x\n")
        self.assertEqual((done.returncode, done.stdout), (0, "late\n"))

    def test_wait_and_stay(self):
        def script(wire):
            wire.accept()
            start = time.monotonic()
            opcode = wire.recv()[0]
            wire.send(8)
            return opcode, time.monotonic() - start

        fake = FakeServer(self, script)
        self.assertEqual(run("connect", "-w", "0.4", fake.url).returncode, 0)
        opcode, seconds = fake.join()
        self.assertEqual(opcode, 8)
        self.assertGreater(seconds, 0.3)

        def patient(wire):
            wire.accept()
            time.sleep(0.3)
            wire.send(1, b"news")
            wire.send(8, close_payload(1001))

        done = run("connect", "-n", FakeServer(self, patient).url)
        self.assertEqual((done.returncode, done.stdout), (0, "news\n"))

    def test_no_reader(self):
        fake = FakeServer(self, talks(frame(1, b"a"), frame(1, b"b")))
        reader, writer = os.pipe()
        os.close(reader)
        child = Running(self, "connect", "--stay", fake.url, stdout=writer)
        os.close(writer)
        code, _, err = child.end(keep=True)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(fake.join()[:2], (8, close_payload(1001)))


class AtATerminal(unittest.TestCase):
    def start(self, script, command="connect"):
        """The program at a terminal: its process, and the terminal's end."""
        ours, theirs = pty.openpty()
        fake = FakeServer(self, script)
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        child = Running(self, command, fake.url, **ends)
        self.addCleanup(os.close, ours)
        os.close(theirs)
        return child, ours, fake

    def until(self, ours, words):
        """What the terminal shows up to and with these words."""
        shown, end = "", time.monotonic() + LIMIT
        while words not in shown:
            ready, _, _ = select.select([ours], [], [], end - time.monotonic())
            self.assertTrue(ready, shown)
            shown += os.read(ours, 4096).decode()
        return shown

    def test_interrupted_twice(self):
        def script(wire):
            wire.accept()
            while (got := wire.recv())[0] != 8:
                wire.send(10, got[1])
            return wire.at_end()

        for command, ready in (("connect", "closes.\r\n"), ("ping", "seq=1")):
            child, ours, fake = self.start(script, command)
            self.until(ours, ready)
            os.write(ours, b"half")
            self.until(ours, "half")
            child.interrupt()
            shown = self.until(ours, "drops it\r\n")
            self.assertIn("\r\nnws: closing; Ctrl-C again drops it\r\n", shown)
            child.interrupt()
            self.assertIn("\r\nnws: connection dropped", self.until(ours, "dropped"))
            self.assertEqual(child.end()[0], 5)
            self.assertTrue(fake.join())

    def test_lost_in_the_middle_of_a_line(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def script(wire):
            wire.accept()
            self.assertTrue(go.wait(LIMIT))

        child, ours, fake = self.start(script)
        self.until(ours, "closes.\r\n")
        os.write(ours, b"half a li")
        self.until(ours, "half a li")
        go.set()
        self.until(ours, f"\r\nnws: connection lost: {fake.url}: ")
        self.assertEqual(child.end()[0], 5)


class ExitCodes(unittest.TestCase):
    def test_refused(self):
        done = run("connect", f"ws://127.0.0.1:{free_port()}/")
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot connect to 127.0.0.1:", done.stderr)

    def test_unknown_host(self):
        done = run("connect", "ws://nobody.invalid/")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nobody.invalid:80", done.stderr)

    def test_silent_server(self):
        def script(wire):
            wire.head()
            return wire.at_end()

        fake = FakeServer(self, script)
        done = run("connect", "--timeout", "0.3", fake.url)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(fake.join())

    def test_interrupted_before_it_is_open(self):
        arrived = threading.Event()

        def script(wire):
            wire.head()
            arrived.set()
            return wire.at_end()

        fake = FakeServer(self, script)
        child = Running(self, "connect", fake.url)
        self.assertTrue(arrived.wait(LIMIT))
        child.interrupt()
        code, _, err = child.end(keep=True)
        self.assertEqual(code, 2)
        self.assertIn("interrupted", err)

    def answers(self, answer):
        def script(wire):
            wire.head()
            wire.sock.sendall(answer)

        return run("connect", FakeServer(self, script).url)

    def test_refused_by_http(self):
        done = self.answers(
            b"HTTP/1.1 404 Not \xc3\x9cberall\r\nContent-Length: 11\r\n\r\nno \x1b[2J way"
        )
        self.assertEqual(done.returncode, 3)
        self.assertIn("404", done.stderr)
        self.assertIn("no \\x1b[2J way", done.stderr)

    def test_handshake_broken(self):
        done = self.answers(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        self.assertEqual(done.returncode, 3)
        self.assertIn("RFC 6455", done.stderr)
        self.assertEqual(self.answers(b"SSH-2.0-x\r\n").returncode, 3)

    def closes(self, *payload):
        return run("connect", "-n", FakeServer(self, talks(frame(8, *payload))).url)

    def test_closed_by_peer(self):
        for code in (1000, 1001):
            done = self.closes(close_payload(code))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.closes().returncode, 0)
        done = self.closes(close_payload(1011, "oh \x1b no"))
        self.assertEqual(done.returncode, 4)
        self.assertIn('1011 (internal error) "oh \\x1b no"', done.stderr)
        self.assertEqual(self.closes(close_payload(4000)).returncode, 4)

    def test_violation(self):
        fake = FakeServer(self, talks(frame(1, b"hi"), frame(1, b"x", mask=b"abcd")))
        done = run("connect", "-n", fake.url)
        self.assertEqual((done.returncode, done.stdout), (5, "hi\n"))
        self.assertIn("byte 5 ", done.stderr)
        self.assertIn("RFC 6455 5.1", done.stderr)
        opcode, payload, _ = fake.join()
        self.assertEqual((opcode, payload[:2]), (8, close_payload(1002)))

    def test_too_long(self):
        fake = FakeServer(self, talks(frame(1, b"x" * 2049)))
        done = run("connect", "-n", "--max-message", "2K", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(fake.join()[1][:2], close_payload(1009))

    def test_lost(self):
        def script(wire):
            wire.accept()
            wire.send(1, b"bye", fin=False)

        done = run("connect", "-n", FakeServer(self, script).url)
        self.assertEqual(done.returncode, 5)
        self.assertTrue(done.stderr.startswith("nws: connection lost: ws://127."))

    def test_tiny_times_are_not_zero(self):
        def silent(wire):
            wire.head()
            return wire.at_end()

        # 0 would be no limit, and end in this test's own.
        fake = FakeServer(self, silent)
        self.assertEqual(run("connect", "-t", "0.0001", fake.url).returncode, 2)

        def pinged(wire):
            wire.accept()
            got = wire.recv()[0]
            wire.send(8)
            return got

        fake = FakeServer(self, pinged)
        run("connect", "-n", "--ping-interval", "0.0001", fake.url)
        self.assertEqual(fake.join(), 9)

    def test_no_answer_to_our_close(self):
        def script(wire):
            wire.accept()
            wire.recv()
            return wire.at_end()

        fake = FakeServer(self, script)
        done = run("connect", "-t", "0.5", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertTrue(fake.join())


if __name__ == "__main__":
    main()
