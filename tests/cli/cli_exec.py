"""nws connect --exec and nws serve --exec: processes behind WebSockets."""

import os
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from cli_support import (
    LIMIT, FakeServer, Running, Server, close_payload, dial, long_frame, main,
    peak, run,
)  # fmt: skip


def alive(pid):
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(test, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        test.assertLess(time.monotonic(), end)
        time.sleep(0.02)


def zombies(parent):
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        return [pid for pid in file.read().split() if not alive(pid)]


def told(wire):
    """The frames up to and with the close, which is answered."""
    wire.accept()
    got = []
    while not got or got[-1][0] != 8:
        got.append(wire.recv())
    wire.send(8, got[-1][1])
    return got


class Connect(unittest.TestCase):
    def test_lines_become_messages(self):
        fake = FakeServer(self, told)
        done = run("connect", "--exec", "echo one; printf 'two\\nthree'", fake.url)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", ""))
        frames = fake.join()
        self.assertEqual([p for _, p, _ in frames], [b"one", b"two", b"three",
                                                     close_payload(1000)])  # fmt: skip

    def test_status(self):
        for command, code, status in (
            ("exit 3", 1011, 3), ("exit 0", 1000, 0), ("no-such-command-here", 1011, 127),
            ("kill -9 $$", 1011, 137),
        ):  # fmt: skip
            fake = FakeServer(self, told)
            done = run("connect", "--exec", command, fake.url)
            self.assertEqual(done.returncode, status)
            self.assertEqual(fake.join()[-1][:2], (8, close_payload(code)))

    def test_conversation(self):
        def script(wire):
            wire.accept()
            for word in (b"a", b"b\nc", b""):
                wire.send(1, word)
            got = [wire.recv()[1] for _ in range(4)]
            wire.send(8, close_payload(1000))
            wire.recv()
            return got

        fake = FakeServer(self, script)
        done = run("connect", "--exec", "sed -u 's/^/got /'", fake.url)
        self.assertEqual(fake.join(), [b"got a", b"got b", b"got c", b"got "])
        self.assertEqual(done.returncode, 0)

    def test_framings(self):
        server = Server(self)
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            data = b"".join(struct.pack(">I", len(m)) + m for m in (b"a\n\0\xff", b"", b"x"))
            with open(out + ".in", "wb") as file:
                file.write(data)
            command = f"cat {out}.in; head -c {len(data)} > {out}"
            done = run("connect", "-b", "--length-prefixed", "--exec", command, server.url)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(out, "rb") as file:
                self.assertEqual(file.read(), data)

    def test_large_both_ways(self):
        server = Server(self, "--max-message", "none")
        # What comes back must be read meanwhile.
        command = (
            "exec 3<&0; head -c 16777216 <&3 | sha256sum >&2 & "
            "head -c 16777216 /dev/zero; wait"
        )
        done = run("connect", "--deflate=off", "--raw", "--exec", command, server.url)
        digest = subprocess.run(
            "head -c 16777216 /dev/zero | sha256sum", shell=True, capture_output=True, text=True
        ).stdout
        self.assertEqual((done.returncode, done.stderr), (0, digest))

    def test_not_utf8(self):
        fake = FakeServer(self, told)
        done = run("connect", "--exec", "printf '\\377\\n'; sleep 60", fake.url)
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 1 of the command's output is not UTF-8", done.stderr)
        self.assertEqual(fake.join()[-1][:2], (8, close_payload(1011)))

    def test_signals_are_passed_on(self):
        fake = FakeServer(self, told)
        command = "trap 'echo caught; exit 0' INT; echo ready >&2; while :; do sleep 0.1; done"
        child = Running(self, "connect", "--exec", command, fake.url)
        self.assertEqual(child.process.stderr.read(6), b"ready\n")
        child.interrupt()
        self.assertEqual(child.end(keep=True)[0], 0)
        frames = fake.join()
        self.assertEqual(frames[0][1], b"caught")
        self.assertEqual(frames[-1][1], close_payload(1001))

    def test_second_signal_ends_all(self):
        fake = FakeServer(self, lambda wire: (wire.accept(), wire.at_end())[1])
        command = "trap '' INT TERM; echo $$ >&2; while :; do sleep 0.1; done"
        child = Running(self, "connect", "--exec", command, fake.url)
        pid = int(child.process.stderr.readline())
        child.interrupt()
        child.interrupt(signal.SIGTERM)
        self.assertEqual(child.end(keep=True)[0], 5)
        self.assertFalse(alive(pid))

    def test_peer_goes(self):
        def script(wire):
            wire.accept()
            wire.recv()
            wire.send(8, close_payload(4000))
            wire.recv()

        fake = FakeServer(self, script)
        child = Running(self, "connect", "--exec", "echo $$ >&2; echo x; sleep 600", fake.url)
        pid = int(child.process.stderr.readline())
        self.assertEqual(child.end(keep=True)[0], 4)
        self.assertFalse(alive(pid))

    def test_no_connection_no_process(self):
        with tempfile.TemporaryDirectory() as folder:
            mark = os.path.join(folder, "mark")
            done = run("connect", "--exec", f"touch {mark}", "ws://127.0.0.1:1/")
            self.assertEqual(done.returncode, 2)
            self.assertFalse(os.path.exists(mark))


class Serve(unittest.TestCase):
    def test_each_has_its_own(self):
        server = Server(self, "--exec", "echo $$; cat")
        wires = [dial(self, server.port)[0] for _ in range(3)]
        pids = {int(wire.recv()[1]) for wire in wires}
        self.assertEqual(len(pids), 3)
        for i, wire in enumerate(wires):
            wire.send(1, b"%d" % i)
        for i, wire in enumerate(wires):
            self.assertEqual(wire.recv()[1], b"%d" % i)
            wire.send(8, close_payload(1000))
            self.assertEqual(wire.recv()[0], 8)
        until(self, lambda: not any(map(alive, pids)))
        self.assertEqual(zombies(server.process.pid), [])

    def test_environment(self):
        environment = {**os.environ, "HTTP_X_OLD": "1", "QUERY_STRING": "old", "OTHER": "kept"}
        server = Server(self, "--exec", "env; echo end", env=environment)
        wire, head = dial(
            self, server.port,
            "User-Agent: test\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=1\r\nX_A: spoofed\r\n"
            "Authorization: Basic s3cret\r\nProxy: http://evil.test\r\n",
            target="/some/path?a=b&c=%20",
        )  # fmt: skip
        self.assertIn(" 101 ", head[0])
        lines = []
        while not lines or lines[-1] != "end":
            lines.append(wire.recv()[1].decode())
        got = dict(line.split("=", 1) for line in lines[:-1])
        for name, value in (
            ("REMOTE_ADDR", "127.0.0.1"), ("REQUEST_URI", "/some/path?a=b&c=%20"),
            ("PATH_INFO", "/some/path"), ("QUERY_STRING", "a=b&c=%20"),
            ("REQUEST_METHOD", "GET"), ("SERVER_NAME", "127.0.0.1"),
            ("SERVER_PORT", str(server.port)), ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTP_USER_AGENT", "test"), ("HTTP_X_A", "1, 2"), ("HTTP_COOKIE", "a=1"),
            ("OTHER", "kept"), ("REMOTE_PORT", str(wire.sock.getsockname()[1])),
        ):  # fmt: skip
            self.assertEqual(got.get(name), value, name)
        for name in ("HTTP_AUTHORIZATION", "HTTP_PROXY", "HTTP_X_OLD", "HTTPS"):
            self.assertNotIn(name, got)
        self.assertNotIn("s3cret", "".join(lines))
        self.assertEqual(len(lines), len({x.split("=")[0] for x in lines}))

    def test_status_closes(self):
        for command, code in (("echo x", 1000), ("echo x; exit 1", 1011)):
            server = Server(self, "--exec", command)
            wire, _ = dial(self, server.port)
            self.assertEqual(wire.recv()[1], b"x")
            self.assertEqual(wire.recv()[:2], (8, close_payload(code)))

    def test_too_many(self):
        server = Server(self, "--exec", "cat", "--max-processes", "2")
        first, second = dial(self, server.port)[0], dial(self, server.port)[0]
        _, head = dial(self, server.port)
        self.assertIn(" 503 ", head[0])
        first.sock.close()
        second.send(1, b"still here")
        self.assertEqual(second.recv()[1], b"still here")
        until(self, lambda: " 101 " in dial(self, server.port)[1][0])

    def test_processes_end_with_connections(self):
        for command in ("echo $$; sleep 600", "trap '' TERM; echo $$; sleep 600; sleep 600"):
            server = Server(self, "--exec", command)
            wire, _ = dial(self, server.port)
            pid = int(wire.recv()[1])
            wire.sock.close()
            until(self, lambda: not alive(pid))
            self.assertEqual(zombies(server.process.pid), [])

    def test_server_ends_them(self):
        server = Server(self, "--exec", "trap '' TERM; echo $$; while :; do sleep 1; done")
        wire, _ = dial(self, server.port)
        pid = int(wire.recv()[1])
        server.interrupt()
        self.assertEqual(wire.recv()[:2], (8, close_payload(1001)))
        wire.send(8, close_payload(1001))
        self.assertTrue(wire.at_end())
        server.interrupt()
        self.assertEqual(server.end()[0], 0)
        self.assertFalse(alive(pid))

    def test_last_messages_arrive(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            server = Server(self, "--exec", f"cat > {out}.new; mv {out}.new {out}")
            wire, _ = dial(self, server.port)
            wire.send(1, b"last words")
            wire.send(8, close_payload(1000))
            until(self, lambda: os.path.exists(out))
            with open(out) as file:
                self.assertEqual(file.read(), "last words\n")

    def test_slow_reader(self):
        server = Server(self, "--exec", "yes | head -c 268435456")
        wire, _ = dial(self, server.port)
        time.sleep(1)  # it would have all by then
        self.assertLess(peak(server.process), 64 << 20)
        count = 0
        while count < 100000:
            self.assertEqual(wire.recv()[1], b"y")
            count += 1
        wire.sock.close()

    def test_slow_process(self):
        server = Server(self, "--exec", "sleep 2; wc -c", "--binary")
        wire, _ = dial(self, server.port)
        message = bytes(1 << 19)
        sent = 0

        def send():
            nonlocal sent
            for _ in range(96):
                wire.sock.sendall(long_frame(2, message))
                sent += 1

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(1)
        self.assertLess(sent, 40)
        self.assertLess(peak(server.process), 64 << 20)
        thread.join(LIMIT)
        self.assertEqual(sent, 96)
        wire.send(8, close_payload(1000))

    def test_large_both_ways(self):
        server = Server(self, "--exec", "cat", "--binary", "--length-prefixed")
        wire, _ = dial(self, server.port)
        message = os.urandom(1 << 19)
        thread = threading.Thread(target=lambda: wire.sock.sendall(long_frame(2, message) * 32))
        thread.start()
        for _ in range(32):
            got, fin = b"", False
            while not fin:
                _, payload, fin = wire.recv()
                got += payload
            self.assertEqual(got, message)
        thread.join(LIMIT)
        self.assertLess(peak(server.process), 64 << 20)


if __name__ == "__main__":
    main()
