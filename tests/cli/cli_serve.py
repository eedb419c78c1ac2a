"""nws serve: the echo, the page, policies, and the ways it ends."""

import re
import resource
import signal
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from cli_support import (
    LIMIT, Running, Server, Wire, close_payload, dial, free_port, long_frame, main,
    peak, run,
)  # fmt: skip


class Serve(unittest.TestCase):
    def test_welcome(self):
        server = Server(self)
        self.assertIn(f"http://127.0.0.1:{server.port}/", server.welcome[0])
        self.assertIn(f"nws connect {server.url}", server.welcome[1])
        command = server.welcome[1].split("in a terminal:")[1]
        done = subprocess.run(
            command, shell=True, input=b"as printed\n", capture_output=True,
            timeout=LIMIT,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (0, b"as printed\n"))

    def test_echo(self):
        server = Server(self, "--echo")
        wire, head = dial(self, server.port, target="/any/path?x=1")
        self.assertIn(" 101 ", head[0])
        for opcode, payload in ((1, "hé".encode()), (2, b"\xff" * 70000), (1, b"")):
            wire.send(opcode, payload)
            self.assertEqual(wire.recv(), (opcode, payload, True))
        wire.send(8, close_payload(4321, "so"))
        self.assertEqual(wire.recv()[:2], (8, close_payload(4321)))
        self.assertTrue(wire.at_end())

    def fetch(self, server, path, method="GET", data=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{path}", method=method, data=data
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def test_page(self):
        server = Server(self)
        for path in ("/", "/?a=b"):
            status, headers, text = self.fetch(server, path)
            self.assertEqual(status, 200)
            self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        for name in (
            "status", "log", "input", "send", "send-binary", "close", "close-code",
            "connect",
        ):  # fmt: skip
            self.assertEqual(len(re.findall(f" id='{name}'", text)), 1)
        self.assertTrue(text.endswith("</html>\n"))
        self.assertNotRegex(text, r"(src|href)='(?!data:,)")

    def test_other_requests(self):
        server = Server(self)
        status, _, text = self.fetch(server, "/nothing")
        self.assertEqual(status, 404)
        self.assertIn("/", text)
        status, headers, text = self.fetch(server, "/", "POST", b"x")
        self.assertEqual((status, headers["Allow"]), (405, "GET"))
        self.assertIn("(RFC 6455 4.2.1)\n", text)

    def raw(self, server, request):
        """The whole answer to these bytes: its head's lines and its body."""
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as sock:
            sock.sendall(request.encode())
            wire = Wire(sock)
            head = wire.head()
            while wire.more():
                pass
            return head, wire.rest.decode()

    def test_bad_http_gets_no_page(self):
        server = Server(self)
        for target in ("/", "/x"):
            for host in ("", "Host: a\r\nHost: a\r\n", "Host: a b\r\n"):
                head, body = self.raw(server, f"GET {target} HTTP/1.1\r\n{host}\r\n")
                self.assertEqual(head[0], "HTTP/1.1 400 Bad Request")
                self.assertIn("Host", body)
                self.assertIn("(RFC 9112 3.2)\n", body)
        head, body = self.raw(server, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((head[0], body), ("HTTP/1.1 405 Method Not Allowed", ""))
        head, body = self.raw(server, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n")
        self.assertEqual(head[0], "HTTP/1.1 426 Upgrade Required")

    def test_refusals_tell_the_rule(self):
        server = Server(self)
        base = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
        for headers, status, rule in (
            ("Sec-WebSocket-Version: 12\r\n" + key, 426, "RFC 6455 4.4"),
            ("Sec-WebSocket-Version: 13\r\n", 400, "RFC 6455 4.2.1"),
            ("Sec-WebSocket-Version: 13\r\n" + key + "Origin: http://b\r\n", 403,
             "RFC 6455 10.2"),
        ):  # fmt: skip
            head, body = self.raw(server, base + headers + "\r\n")
            self.assertIn(f" {status} ", head[0])
            self.assertTrue(body.endswith(f" ({rule})\n"), body)
            if status == 426:
                self.assertIn("Sec-WebSocket-Version: 13", head)

    def test_origins(self):
        for args, origin, status in (
            ((), "http://127.0.0.1:{port}", 101),
            ((), "http://evil.test", 403),
            (("--origin", "same-host"), "null", 403),
            (("--origin", "any"), "http://evil.test", 101),
            (("--origin", "http://a.test,http://b.test"), "http://b.test", 101),
            (("--origin", "http://a.test,http://b.test"), "http://c.test", 403),
            (("--origin", "moz-extension://0a-1,null"), "null", 101),
            (("--origin", "https://[::1]:8443 , http://b.test:81"), "http://b.test:81", 101),
        ):
            with self.subTest(args=args, origin=origin):
                server = Server(self, *args)
                header = "Origin: " + origin.format(port=server.port) + "\r\n"
                _, head = dial(self, server.port, header)
                self.assertIn(f" {status} ", head[0])

    def test_subprotocols(self):
        server = Server(self, "-s", "x", "--subprotocol", "chat")
        for offer, chosen in (("a, chat, x", "chat"), ("a", None)):
            _, head = dial(self, server.port, f"Sec-WebSocket-Protocol: {offer}\r\n")
            got = [x for x in head if x.lower().startswith("sec-websocket-protocol:")]
            self.assertEqual([x.split(": ")[1] for x in got], [chosen] if chosen else [])

    def test_max_message(self):
        server = Server(self, "--max-message", "1K")
        wire, _ = dial(self, server.port)
        wire.send(2, bytes(1024))
        self.assertEqual(len(wire.recv()[1]), 1024)
        wire.send(2, bytes(1025))
        self.assertEqual(wire.recv()[1][:2], close_payload(1009))

    def test_port_in_use(self):
        server = Server(self)
        for args in (
            ("--port", str(server.port)),
            ("--listen", f"127.0.0.1:{server.port}"),
            ("--listen", f"localhost:{server.port}"),
        ):
            done = run("serve", *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(f"127.0.0.1:{server.port}", done.stderr)
            self.assertIn("--port", done.stderr)

    def test_other_addresses(self):
        done = run("serve", "--listen", "203.0.113.1:0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("203.0.113.1", done.stderr)

    def test_address_forms(self):
        for args, shown in (
            (("--listen", "127.0.0.1"), "127.0.0.1"),
            (("--listen", "[::1]"), "[::1]"),
            (("--listen", "::1"), "[::1]"),
            (("--listen", "0.0.0.0"), "127.0.0.1"),
            (("--listen", "[::]:0"), "[::1]"),
        ):
            with self.subTest(args=args):
                server = Server(self, *args)
                url = f"ws://{shown}:{server.port}/"
                self.assertIn(url, server.welcome[1])
                done = run("connect", url, stdin="x\n")
                self.assertEqual((done.returncode, done.stdout), (0, "x\n"))
        for bad in ("[::1", "[::1]x", ":1", "[]:1", "127.0.0.1:x", "a" * 99, "nowhere:0"):
            self.assertEqual(run("serve", "--listen", bad).returncode, 1)

    def test_log(self):
        server = Server(self, "-v")
        wire, _ = dial(self, server.port, "Origin: http://127.0.0.1:%d\r\n" % server.port)
        wire.send(1, b"abc")
        wire.recv()
        wire.send(8, close_payload(1000, "\x1b[2J"))
        wire.recv()
        self.assertTrue(wire.at_end())
        wire, _ = dial(self, server.port, "Origin: \x80[31m\r\n")
        server.interrupt()
        code, _, err = server.end()
        self.assertEqual(code, 0)
        for words in ("#1 127.0.0.1:", "GET /", "text, 3 bytes", "closed 1000"):
            self.assertIn(words, err)
        self.assertIn("\\x1b[2J", err)
        self.assertNotIn("\x1b", err)

    def test_trouble_in_the_log(self):
        server = Server(self, "-v")
        for sent in (b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03", b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
                     b"GET / HT"):  # fmt: skip
            with socket.create_connection(("127.0.0.1", server.port), LIMIT) as sock:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
        server.interrupt()
        _, _, err = server.end()
        lines = [x for x in err.splitlines() if x.startswith("http: 127.0.0.1:")]
        self.assertEqual(len(lines), 3, err)
        self.assertIn("not HTTP; if the client used wss://, use ws://", lines[0])
        self.assertIn("name is not a token", lines[1])
        self.assertNotIn("wss", lines[2])

    def test_too_few_descriptors(self):
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        server = Server(self, preexec_fn=few)
        socks = [
            socket.create_connection(("127.0.0.1", server.port), LIMIT) for _ in range(24)
        ]
        told = b""
        while not told.endswith(b"\n"):
            told += server.process.stderr.read(1)
        for sock in socks:
            sock.close()
        self.assertTrue(told.startswith(b"nws: cannot take connections for now: "))
        server.interrupt()
        self.assertEqual(server.end()[0], 0)

    def test_quiet(self):
        # The port is one that was free a moment ago; the test is about output.
        port = free_port()
        child = Running(self, "serve", "-q", "--port", str(port))
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        child.interrupt()
        self.assertEqual(child.end(), (0, "", ""))


class Broadcast(unittest.TestCase):
    def test_rooms(self):
        server = Server(self, "--broadcast")
        a, b, c = (dial(self, server.port, target=x)[0] for x in ("/r", "/r?q", "/r"))
        other, _ = dial(self, server.port, target="/r/other")
        a.send(1, b"from a")
        b.send(2, b"\xff")
        self.assertEqual(a.recv()[:2], (2, b"\xff"))
        self.assertEqual(b.recv()[:2], (1, b"from a"))
        self.assertEqual({c.recv()[:2], c.recv()[:2]}, {(1, b"from a"), (2, b"\xff")})
        b.sock.close()
        c.send(1, b"b has left")
        self.assertEqual(a.recv()[1], b"b has left")
        other.send(9, b"alone")
        self.assertEqual(other.recv()[:2], (10, b"alone"))
        server.interrupt()
        for wire in (a, c, other):
            self.assertEqual(wire.recv()[:2], (8, close_payload(1001)))
            wire.send(8, close_payload(1001))
            wire.sock.close()
        self.assertEqual(server.end()[0], 0)

    def test_slow_reader_is_closed(self):
        server = Server(self, "--broadcast")
        slow, _ = dial(self, server.port)
        fast, _ = dial(self, server.port)
        third, _ = dial(self, server.port)
        message = bytes(1 << 19)
        for i in range(100):
            third.sock.sendall(long_frame(2, message))
            self.assertEqual(fast.recv()[1], message)
        self.assertLess(peak(server.process), 64 << 20)
        opcode = 2
        while opcode == 2:
            opcode, payload, _ = slow.recv()
        self.assertEqual((opcode, payload[:2]), (8, close_payload(1008)))
        third.sock.sendall(long_frame(2, message))
        self.assertEqual(fast.recv()[1], message)


class Stopping(unittest.TestCase):
    def test_going_away(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = Server(self)
            wires = [dial(self, server.port)[0] for _ in range(3)]
            server.interrupt(number)
            for wire in wires:
                self.assertEqual(wire.recv()[:2], (8, close_payload(1001)))
                wire.send(8, close_payload(1001))
                self.assertTrue(wire.at_end())
            self.assertEqual(server.end()[0], 0)

    def test_second_signal_drops(self):
        server = Server(self)
        wire, _ = dial(self, server.port)
        server.interrupt()
        self.assertEqual(wire.recv()[0], 8)
        server.interrupt()
        self.assertTrue(wire.at_end())
        self.assertEqual(server.end()[0], 0)

    def test_without_connections(self):
        server = Server(self)
        server.interrupt()
        self.assertEqual(server.end()[0], 0)

    def test_half_a_request(self):
        server = Server(self)
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHost: a")
            server.interrupt()
            server.interrupt()
            self.assertEqual(server.end()[0], 0)


if __name__ == "__main__":
    main()
