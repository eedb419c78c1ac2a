"""Where nws serve listens: several places, Unix sockets, inherited ones, and
behind proxies."""

import os
import socket
import tempfile
import unittest
from cli_support import LIMIT, Running, Server, free_port, main, run


def welcome(child):
    """What it says at the start."""
    lines = [child.line()]
    while lines[-1] not in ("", "Ctrl-C stops."):
        lines.append(child.line())
    return lines


class Listen(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "socket")

    def echo(self, url):
        done = run("connect", "-m", "x", "-c", "1", url)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "x\n", ""))

    def test_unix(self):
        child = Running(self, "serve", "--listen", "unix:" + self.path)
        lines = welcome(child)
        self.assertIn(f"connect ws+unix:{self.path}:/", lines[1])
        self.echo(f"ws+unix:{self.path}:/any?x")
        self.echo(f"ws+unix:{self.path}")
        self.assertEqual(run("ping", "-c", "1", f"ws+unix:{self.path}").returncode, 0)
        child.interrupt()
        self.assertEqual(child.end()[0], 0)
        self.assertFalse(os.path.exists(self.path))
        done = run("connect", f"ws+unix:{self.path}:/")
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"cannot connect to {self.path}: ", done.stderr)

    def test_several(self):
        ports = [free_port(), free_port()]
        child = Running(
            self, "serve", "--listen", f"127.0.0.1:{ports[0]}", "--listen", f"[::1]:{ports[1]}",
            "--listen", "unix:" + self.path,
        )  # fmt: skip
        lines = welcome(child)
        self.assertIn(f"Listening on [::1]:{ports[1]}, and", lines)
        for url in (f"ws://127.0.0.1:{ports[0]}/", f"ws://[::1]:{ports[1]}/",
                    f"ws+unix:{self.path}:/"):  # fmt: skip
            self.echo(url)

    def test_one_cannot(self):
        done = run("serve", "--port", "0", "--listen", "127.0.0.1",
                   "--listen", "unix:/nowhere/socket")  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("cannot listen on unix:/nowhere/socket: ", done.stderr)

    def test_descriptor(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            fd, port = listener.fileno(), listener.getsockname()[1]
            child = Running(self, "serve", "--listen", f"fd:{fd}", pass_fds=[fd])
            self.assertIn(f":{port}. ", welcome(child)[0])
            self.echo(f"ws://127.0.0.1:{port}/")
        done = run("serve", "--listen", "fd:0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("fd:0: no stream socket that listens", done.stderr)

    def test_service_manager(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]

            def pass_on():
                os.dup2(listener.fileno(), 3)
                os.set_inheritable(3, True)
                os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")

            child = Running(self, "serve", preexec_fn=pass_on, close_fds=False)
            self.assertIn(f":{port}. ", welcome(child)[0])
        self.echo(f"ws://127.0.0.1:{port}/")

    def test_proxy_protocol(self):
        server = Server(self, "--proxy-protocol", "-v")
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as sock:
            sock.sendall(
                b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n"
            )
            self.assertIn(b" 101 ", sock.recv(4096))
        line = server.process.stderr.readline()
        self.assertTrue(line.startswith(b"#1 192.0.2.7:4711 GET /"), line)


if __name__ == "__main__":
    main()
