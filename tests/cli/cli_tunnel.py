"""nws serve --to and nws connect --tcp-listen: TCP through WebSockets."""

import hashlib
import os
import re
import signal
import socket
import tempfile
import threading
import time
import unittest
from cli_support import (
    LIMIT, FakeServer, Running, Server, close_payload, dial, free_port, long_frame, main,
    peak, run,
)  # fmt: skip


class TcpServer:
    """Accepts connections, and lets `script` talk over each, in threads."""

    def __init__(self, test, script, path=None, family=socket.AF_INET):
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
            self.where = "unix:" + path
        else:
            host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
            self.listener = socket.create_server((host, 0), family=family)
            port = self.listener.getsockname()[1]
            self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.script = script
        self.results = []
        self.threads = []
        self.taker = threading.Thread(target=self.take, daemon=True)
        self.taker.start()
        test.addCleanup(self.listener.close)
        test.addCleanup(self.listener.shutdown, socket.SHUT_RDWR)

    def take(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.talk, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def talk(self, sock):
        with sock:
            sock.settimeout(LIMIT)
            self.results.append(self.script(sock))

    def result(self):
        end = time.monotonic() + LIMIT
        while not self.results:
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.02)
        return self.results.pop(0)


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def everything(sock):
    got = bytearray()
    while data := sock.recv(1 << 18):
        got += data
    return bytes(got)


def bytes_of(wire, count):
    """So many bytes of binary messages."""
    got = bytearray()
    while len(got) < count:
        opcode, payload, _ = wire.recv()
        if opcode not in (0, 2):
            raise AssertionError(opcode, payload)
        got += payload
    return bytes(got)


class To(unittest.TestCase):
    def test_echo_everywhere(self):
        with tempfile.TemporaryDirectory() as folder:
            for options in ({}, {"family": socket.AF_INET6}, {"path": folder + "/s"}):
                target = TcpServer(self, echo, **options)
                server = Server(self, "--to", target.where)
                wire, head = dial(self, server.port)
                self.assertIn(" 101 ", head[0])
                data = bytes(range(256)) * 20
                wire.send(2, data[:1000], fin=False)
                wire.send(0, data[1000:])
                self.assertEqual(bytes_of(wire, len(data)), data)
                wire.send(8, close_payload(1000))
                self.assertEqual(wire.recv()[:2], (8, close_payload(1000)))

    def test_name(self):
        target = TcpServer(self, echo)
        server = Server(self, "--to", target.where.replace("127.0.0.1", "localhost"))
        wire, _ = dial(self, server.port)
        wire.send(2, b"x")
        self.assertEqual(bytes_of(wire, 1), b"x")

    def test_bad_gateway(self):
        for where in (f"127.0.0.1:{free_port()}", "nobody.invalid:80", "unix:/nowhere/s"):
            server = Server(self, "--to", where)
            _, head = dial(self, server.port)
            self.assertIn(" 502 ", head[0])

    def test_last_bytes_arrive(self):
        target = TcpServer(self, everything)
        server = Server(self, "--to", target.where)
        wire, _ = dial(self, server.port)
        wire.send(2, b"a" * 300000)
        wire.send(8, close_payload(1000))
        self.assertEqual(target.result(), b"a" * 300000)

    def test_server_ends_first(self):
        def script(sock):
            sock.sendall(b"bye")
            sock.shutdown(socket.SHUT_WR)
            return everything(sock)

        target = TcpServer(self, script)
        server = Server(self, "--to", target.where)
        wire, _ = dial(self, server.port)
        self.assertEqual(bytes_of(wire, 3), b"bye")
        self.assertEqual(wire.recv()[:2], (8, close_payload(1000)))
        wire.send(2, b"still under way")
        wire.send(8, close_payload(1000))
        self.assertEqual(target.result(), b"still under way")

    def test_reset(self):
        def script(sock):
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        server = Server(self, "--to", TcpServer(self, script).where)
        wire, _ = dial(self, server.port)
        wire.send(2, b"x")
        self.assertEqual(wire.recv()[:2], (8, close_payload(1011)))

    def test_text(self):
        server = Server(self, "--to", TcpServer(self, echo).where)
        wire, _ = dial(self, server.port)
        wire.send(1, b"text")
        self.assertEqual(wire.recv()[1][:2], close_payload(1003))

    def test_subprotocol(self):
        server = Server(self, "--to", TcpServer(self, echo).where)
        _, head = dial(self, server.port, "Sec-WebSocket-Protocol: binary\r\n")
        self.assertIn("Sec-WebSocket-Protocol: binary", head)

    def test_slow_reader(self):
        def script(sock):
            sent = 0
            try:
                while sent < 256 << 20:
                    sock.sendall(bytes(1 << 16))
                    sent += 1 << 16
            except ConnectionError:
                pass

        server = Server(self, "--to", TcpServer(self, script).where)
        wire, _ = dial(self, server.port)
        time.sleep(1)  # all would have come by then
        self.assertLess(peak(server.process), 64 << 20)
        self.assertEqual(bytes_of(wire, 16 << 20)[-1:], b"\0")

    def test_slow_server(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def script(sock):
            go.wait(LIMIT)
            return hashlib.sha256(everything(sock)).digest()

        target = TcpServer(self, script)
        server = Server(self, "--to", target.where)
        wire, _ = dial(self, server.port)
        data = os.urandom(1 << 20)
        sent = 0

        def send():
            nonlocal sent
            for _ in range(48):
                wire.sock.sendall(long_frame(2, data))
                sent += 1
            wire.send(8, close_payload(1000))

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(1)
        self.assertLess(sent, 40)
        self.assertLess(peak(server.process), 64 << 20)
        go.set()
        thread.join(LIMIT)
        self.assertEqual(target.result(), hashlib.sha256(data * 48).digest())

    def test_stop(self):
        def script(sock):
            sock.sendall(b"x")
            return everything(sock)

        target = TcpServer(self, script)
        server = Server(self, "--to", target.where)
        wire, _ = dial(self, server.port)
        self.assertEqual(bytes_of(wire, 1), b"x")
        server.interrupt()
        self.assertEqual(wire.recv()[:2], (8, close_payload(1001)))
        wire.send(2, b"y")
        wire.send(8, close_payload(1001))
        self.assertEqual(target.result(), b"y")
        self.assertEqual(server.end()[0], 0)

    def test_descriptors_come_back(self):
        server = Server(self, "--to", TcpServer(self, echo).where)
        folder = f"/proc/{server.process.pid}/fd"
        before = None
        for i in range(30):
            wire, _ = dial(self, server.port)
            wire.send(2, b"x")
            bytes_of(wire, 1)
            wire.sock.close()
            if i == 2:
                before = len(os.listdir(folder))
        end = time.monotonic() + LIMIT
        while len(os.listdir(folder)) > before:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)


class TcpListen(unittest.TestCase):
    def start(self, url, *args, where="0"):
        child = Running(self, "connect", "--tcp-listen", where, *args, url)
        line = child.line()
        port = int(re.search(r":(\d+) for ", line).group(1))
        return child, port

    def through(self, script):
        """The near end of: TCP, nws, WebSocket, nws, TCP."""
        target = TcpServer(self, script)
        server = Server(self, "--to", target.where)
        child, port = self.start(server.url)
        return target, child, port

    def connect(self, port):
        sock = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.addCleanup(sock.close)
        return sock

    def test_both_ways(self):
        _, child, port = self.through(echo)
        socks = [self.connect(port) for _ in range(5)]
        for i, sock in enumerate(socks):
            sock.sendall(b"%d" % i)
        for i, sock in enumerate(socks):
            self.assertEqual(sock.recv(10), b"%d" % i)
        child.interrupt()
        for sock in socks:
            self.assertEqual(sock.recv(10), b"")
            sock.close()
        self.assertEqual(child.end(keep=True)[0], 0)

    def test_large(self):
        _, child, port = self.through(echo)
        sock = self.connect(port)
        data = os.urandom(16 << 20)
        thread = threading.Thread(target=sock.sendall, args=(data,))
        thread.start()
        got = bytearray()
        while len(got) < len(data):
            got += sock.recv(1 << 16)
        thread.join(LIMIT)
        self.assertEqual(got, data)
        self.assertLess(peak(child.process), 64 << 20)

    def test_ends(self):
        target, _, port = self.through(everything)
        sock = self.connect(port)
        sock.sendall(b"all of it")
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(target.result(), b"all of it")
        self.assertEqual(sock.recv(1), b"")

        def says(sock):
            sock.sendall(b"x" * 500000)

        _, _, port = self.through(says)
        self.assertEqual(len(everything(self.connect(port))), 500000)

    def test_no_server(self):
        child, port = self.start(f"ws://127.0.0.1:{free_port()}/")
        self.assertEqual(self.connect(port).recv(1), b"")
        child.interrupt()
        code, _, err = child.end(keep=True)
        self.assertEqual(code, 0)
        self.assertIn("#1: connection refused", err)

    def test_two_signals(self):
        arrived = threading.Event()

        def script(wire):
            wire.accept()
            self.assertEqual(wire.recv()[1], b"x")
            arrived.set()
            return wire.recv()[0], wire.at_end()

        fake = FakeServer(self, script)
        child, port = self.start(fake.url)
        sock = self.connect(port)
        sock.sendall(b"x")
        self.assertTrue(arrived.wait(LIMIT))
        child.interrupt()
        time.sleep(0.3)
        child.interrupt(signal.SIGTERM)
        self.assertEqual(child.end(keep=True)[0], 0)
        self.assertEqual(fake.join(), (8, True))
        self.assertEqual(sock.recv(1), b"")

    def test_cannot_listen(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = run("connect", "--tcp-listen", str(port), "ws://127.0.0.1:9/")
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"cannot listen on {port}", done.stderr)


if __name__ == "__main__":
    main()
