"""TLS in nws connect, ping and serve, against the ssl module of Python: who is
trusted, what is said about who is not, and what to try then."""

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest
import urllib.request
import warnings
from cli_certs import Cert, pin_of
from cli_support import (
    LIMIT, FakeServer, Server, Wire, close_payload, free_port, main, run,
)  # fmt: skip

ZERO_PIN = "sha256//" + "A" * 43 + "="


def setUpModule():
    global folder, root, other, good, client, wrong, old
    folder = tempfile.TemporaryDirectory()
    at = folder.name
    root = Cert(at, "Test root", root=True)
    other = Cert(at, "Other root", root=True)
    good = Cert(at, "server", "DNS:localhost,IP:127.0.0.1", issuer=root)
    client = Cert(at, "client 7", issuer=root)
    wrong = Cert(at, "else", "DNS:else.example", issuer=root)
    old = Cert(at, "old", "DNS:localhost,IP:127.0.0.1", issuer=root, days=-1)


def tearDownModule():
    folder.cleanup()


def server_context(cert, **more):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert.file)
    context.set_alpn_protocols(["http/1.1"])
    for name, value in more.items():
        setattr(context, name, value)
    return context


def aged(context):
    """Speaks TLS 1.1 at most, by all means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class TlsServer(FakeServer):
    """A FakeServer that speaks TLS, by Python's ssl."""

    def __init__(self, test, script, context):
        self.context = context
        super().__init__(test, script)
        self.url = self.url.replace("ws:", "wss:")
        self.local = self.url.replace("127.0.0.1", "localhost")

    def talk(self):
        try:
            sock, _ = self.listener.accept()
            sock.settimeout(LIMIT)
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.result = self.script(Wire(tls))
        except Exception as error:  # told to whoever asks for the result
            self.error = error


def echo_once(wire):
    """Echoes a message and answers the close; gives what was known of TLS."""
    request = wire.accept()
    opcode, payload, _ = wire.recv()
    wire.send(opcode, payload)
    wire.send(8, wire.recv()[1])
    shown = wire.sock.getpeercert()
    return request, wire.sock.version(), wire.sock.selected_alpn_protocol(), shown


def answer_pings(wire):
    wire.accept()
    while True:
        opcode, payload, _ = wire.recv()
        wire.send(10 if opcode == 9 else opcode, payload)
        if opcode == 8:
            return


class Base(unittest.TestCase):
    def passes(self, done):
        self.assertEqual((done.returncode, done.stdout), (0, "hello\n"), done.stderr)

    def fails(self, done, *words, code=3):
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        for part in words:
            self.assertIn(part, done.stderr)


class Client(Base):
    def connect(self, *args):
        return run("connect", *map(str, args), stdin="hello\n")

    def serve(self, cert, **more):
        return TlsServer(self, echo_once, server_context(cert, **more))

    def test_verified(self):
        for name in ("url", "local"):
            fake = self.serve(good)
            done = self.connect("--ca", root.alone, getattr(fake, name))
            self.passes(done)
            self.assertEqual(done.stderr, "")
            request, version, alpn, _ = fake.join()
            self.assertEqual((version, alpn), ("TLSv1.3", "http/1.1"))
            self.assertEqual(request[0], "GET / HTTP/1.1")

    def test_versions(self):
        fake = self.serve(good, maximum_version=ssl.TLSVersion.TLSv1_2)
        self.passes(self.connect("--ca", root.alone, fake.url))
        self.assertEqual(fake.join()[1], "TLSv1.2")

    def test_old_versions(self):
        fake = TlsServer(self, echo_once, aged(server_context(good)))
        self.fails(self.connect("--ca", root.alone, fake.url), "protocol version")
        with self.assertRaises(ssl.SSLError):
            fake.join()

    def test_trust_of_the_system(self):
        fake = self.serve(good)
        env = {**os.environ, "SSL_CERT_FILE": str(root.alone)}
        self.passes(run("connect", fake.url, stdin="hello\n", env=env))

    def test_verbose(self):
        fake = self.serve(good)
        done = self.connect("-v", "--ca", root.alone, fake.url)
        self.passes(done)
        self.assertRegex(
            done.stderr,
            r"\* TLSv1\.3, TLS_\w+; the certificate of CN=server is verified; its key "
            rf"is {re.escape(good.pin)}\n",
        )

    def test_not_trusted(self):
        for cert, trust, subject in (
            (good, [], "CN=server"),
            (good, ["--ca", other.alone], "CN=server"),
            (root, [], "CN=Test root"),
        ):
            for command in ("connect", "ping"):
                fake = self.serve(cert)
                done = run(command, *map(str, trust), fake.url)
                host = fake.url[6:-1]
                self.fails(
                    done, f"nws: the certificate of {host} is not trusted: ",
                    f"It is that of {subject}, and its key is {cert.pin}\n",
                    "try --ca FILE\n", f"take it and no other: -k --pin '{cert.pin}'\n",
                )  # fmt: skip
        self.assertIn("self-signed certificate", done.stderr)

    def test_what_is_proposed_works(self):
        fake = self.serve(root)
        done = self.connect(fake.url)
        proposed = shlex.split(re.search(r"-k --pin .*", done.stderr).group())
        fake = self.serve(root)
        done = self.connect(*proposed, fake.url)
        self.passes(done)
        self.assertEqual(done.stderr, "")

    def test_expired(self):
        fake = self.serve(old)
        self.fails(
            self.connect("--ca", root.alone, fake.url),
            "is not trusted: certificate has expired\n", old.pin, "have to renew it",
        )  # fmt: skip

    def test_wrong_host(self):
        for name, what in (("url", "IP address mismatch"), ("local", "hostname mismatch")):
            fake = self.serve(wrong)
            self.fails(
                self.connect("--ca", root.alone, getattr(fake, name)),
                f"is for some other host: {what}; it is for DNS:else.example\n",
                "Try a URL with a name that it is for.\n", f"-k --pin '{wrong.pin}'\n",
            )  # fmt: skip

    def test_names_cannot_control_the_terminal(self):
        cert = Cert(folder.name, "evil\x1b[31m", "DNS:localhost", issuer=root)
        done = self.connect(self.serve(cert).url)
        self.fails(done, "CN=evil")
        self.assertNotIn("\x1b", done.stderr)

    def test_pins(self):
        for pins in (good.pin, f"{ZERO_PIN};{good.pin}"):
            for trust in (["--ca", root.alone], ["-k"], ["--insecure"]):
                done = self.connect("--pin", pins, *trust, self.serve(good).url)
                self.passes(done)
                self.assertEqual(done.stderr, "")
        # A pin comes on top of trust, and does not take its place by itself.
        self.fails(self.connect("--pin", good.pin, self.serve(good).url), "is not trusted")
        for trust in (["--ca", root.alone], ["-k"]):
            self.fails(
                self.connect("--pin", ZERO_PIN, *trust, self.serve(good).url),
                f"is none of the pinned ones: it has {good.pin}\n", "a new key",
            )  # fmt: skip
        done = self.connect("-v", "-k", "--pin", good.pin, self.serve(good).url)
        self.passes(done)
        self.assertIn("is not verified; its key is", done.stderr)
        self.assertIn("which is pinned\n", done.stderr)

    def test_insecure_is_loud(self):
        for cert in (good, wrong, old):
            for flag in ("-k", "--insecure"):
                done = self.connect(flag, self.serve(cert).url)
                self.passes(done)
                self.assertIn("nws: WARNING: the server is not verified", done.stderr)
                self.assertIn("can read and change everything\n", done.stderr)

    def test_client_certificate(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = server_context(good, maximum_version=version)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(root.alone)
            for shown in (
                ["--cert", client.file],
                ["--cert", client.alone, "--key", client.key],
            ):
                fake = TlsServer(self, echo_once, context)
                self.passes(self.connect("--ca", root.alone, *shown, fake.url))
                subject = fake.join()[3]["subject"]
                self.assertEqual(subject, ((("commonName", "client 7"),),))
            fake = TlsServer(self, echo_once, context)
            self.fails(
                self.connect("--ca", root.alone, fake.url), "nws: TLS with ",
                "wants a certificate of yours, try --cert FILE",
            )  # fmt: skip
            fake = TlsServer(self, echo_once, context)
            self.fails(
                self.connect("--ca", root.alone, "--cert", other.file, fake.url),
                "does not take the certificate of --cert\n",
            )  # fmt: skip

    def test_ping(self):
        fake = TlsServer(self, answer_pings, server_context(good))
        done = run("ping", "-c", "3", "-i", "0.01", "--ca", str(root.alone), fake.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("3 pings, 3 answered", done.stdout)
        fake.join()

    def test_cut(self):
        def cut(wire):
            wire.accept()
            wire.send(1, b"before")
            wire.sock.detach_now = socket.socket(fileno=wire.sock.detach())
            wire.sock.detach_now.close()

        def cut_softly(wire):
            wire.accept()
            wire.send(1, b"before")
            wire.sock.unwrap()

        for script, words in ((cut, "ended without close_notify"), (cut_softly, "")):
            fake = TlsServer(self, script, server_context(good))
            done = run("connect", "--stay", "--ca", str(root.alone), fake.url)
            self.assertEqual((done.returncode, done.stdout), (5, "before\n"), done.stderr)
            self.assertIn(f"connection lost: {fake.url}: ", done.stderr)
            self.assertIn(words, done.stderr)
            self.assertEqual("close_notify" in done.stderr, bool(words))


def bad_request(wire):
    wire.sock.recv(65536)
    wire.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def hang_up(wire):
    wire.sock.recv(65536)


def drop(wire):
    wire.sock.recv(1)  # what is left unread makes it a reset


def tls_alert(wire):
    wire.sock.recv(65536)
    wire.sock.sendall(b"\x15\x03\x03\x00\x02\x02\x32")


def says_https(wire):
    wire.sock.recv(65536)
    body = b"<title>The plain HTTP request was sent to HTTPS port</title>"
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.sock.sendall(head.encode() + body)


class Schemes(Base):
    """One end speaks TLS, and the other does not."""

    def test_tls_to_plain(self):
        for script, code in ((bad_request, 3), (hang_up, 3), (drop, None)):
            with self.subTest(script=script.__name__):
                fake = FakeServer(self, script)
                url = fake.url.replace("ws:", "wss:")
                done = run("connect", url)
                # Whether a reset or the end comes first is the system's.
                self.assertIn(done.returncode, [code] if code else [2, 3])
                self.assertIn(f"If the server speaks no TLS, try {fake.url}\n", done.stderr)
        server = Server(self)
        self.fails(
            run("connect", server.url.replace("ws:", "wss:")),
            "the other end does not speak TLS", f"try {server.url}\n",
        )  # fmt: skip

    def test_plain_to_tls(self):
        servers = [
            (TlsServer(self, hang_up, server_context(good)).url, [2, 3]),
            (FakeServer(self, tls_alert).url.replace("ws:", "wss:"), [3]),
            (FakeServer(self, says_https).url.replace("ws:", "wss:"), [3]),
            (Server(self, "--self-signed").url, [3]),
        ]
        for url, codes in servers:
            with self.subTest(url=url):
                done = run("connect", url.replace("wss:", "ws:"))
                self.assertIn(done.returncode, codes, done.stderr)
                self.assertIn(f"If the server speaks TLS, try {url}\n", done.stderr)
        self.assertIn("plain HTTP was sent to a port that speaks TLS", done.stderr)

    def test_no_hint_elsewhere(self):
        fake = FakeServer(self, bad_request)
        done = run("connect", fake.url)
        self.fails(done, "400 Bad Request")
        self.assertNotIn("wss", done.stderr)
        done = run("connect", f"wss://127.0.0.1:{free_port()}/")
        self.fails(done, "cannot connect to", code=2)
        self.assertNotIn("try", done.stderr)


class Mistakes(Base):
    def test_options(self):
        url = "wss://127.0.0.1:9/"
        missing = f"{folder.name}/missing.pem"
        empty = f"{folder.name}/empty.pem"
        open(empty, "w").close()
        for args, words in (
            (["--ca", root.alone, "ws://a/"], "--ca is for wss:// URLs"),
            (["--cert", client.file, "ws://a/"], "--cert is for wss:// URLs"),
            (["--key", client.file, "ws://a/"], "--key is for wss:// URLs"),
            (["--pin", ZERO_PIN, "ws://a/"], "--pin is for wss:// URLs"),
            (["-k", "WS://a/"], "--insecure is for wss:// URLs"),
            (["-k", "--ca", root.alone, url], "give one"),
            (["--key", client.key, url], "--key is of use only with --cert"),
            (["--ca", missing, url], "missing.pem: No such file"),
            (["--ca", empty, url], "empty.pem: cannot be trusted"),
            (["--cert", missing, url], "missing.pem: No such file"),
            (["--cert", empty, url], "empty.pem: no certificate in PEM"),
            (["--cert", client.alone, url], "client_7.crt: no private key in PEM"),
            (["--cert", client.alone, "--key", root.key, url], "not the certificate's"),
            (["--pin", "sha256//abc", url], "not a pin, sha256//"),
            (["--pin", "", url], "(nothing): not a pin, sha256//"),
            (["--pin", ZERO_PIN + ";", url], "(nothing): not a pin, sha256//"),
        ):
            for command in ("connect", "ping"):
                self.fails(run(command, *map(str, args)), words, code=1)

    def test_serve_options(self):
        for args, words in (
            (["--cert", good.file, "--self-signed"], "give one of the two"),
            (["--key", good.key], "--key is of use only with --cert"),
            (["--key", good.key, "--self-signed"], "--key is of use only with --cert"),
            (["--client-ca", root.alone], "only with --cert or --self-signed"),
            (["--cert", good.alone], "server.crt: no private key in PEM"),
            (["--cert", good.file, "--key", root.key], "not the certificate's"),
            (["--cert", "/nonexistent"], "/nonexistent: No such file"),
            (["--cert", good.file, "--client-ca", "/nonexistent"], "/nonexistent: No such"),
            (["--self-signed=a b"], "a b: not a list of host names and addresses"),
            (["--pin", ZERO_PIN], "unknown option '--pin'"),
        ):
            self.fails(run("serve", "--port", "0", *map(str, args)), words, code=1)


def trusting(cert=None, shown=None, pem=None):
    context = ssl.create_default_context(cafile=cert and cert.alone, cadata=pem)
    if shown:
        context.load_cert_chain(shown.file)
    return context


def dial_tls(test, port, context, host="127.0.0.1"):
    """A client by hand, with a WebSocket open."""
    raw = socket.create_connection((host, port), LIMIT)
    test.addCleanup(raw.close)
    sock = context.wrap_socket(raw, server_hostname=host)
    test.addCleanup(sock.close)
    wire = Wire(sock, masked=True)
    host = f"[{host}]" if ":" in host else host
    sock.sendall(
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nOrigin: https://{host}:{port}"
        f"\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n".encode()
    )
    test.assertIn(" 101 ", wire.head()[0])
    return wire


def names_of(sock):
    return {value for _, value in sock.getpeercert()["subjectAltName"]}


class Serve(Base):
    def says(self, wire, text=b"hello"):
        wire.send(1, text)
        self.assertEqual(wire.recv(), (1, text, True))

    def test_welcome_works_as_printed(self):
        for args in (["--self-signed"], ["--cert", str(wrong.file)]):
            server = Server(self, *args)
            self.assertIn(f"https://127.0.0.1:{server.port}/", server.welcome[0])
            command = server.welcome[1].split("in a terminal:")[1]
            done = subprocess.run(
                command, shell=True, input=b"as printed\n", capture_output=True,
                timeout=LIMIT,
            )  # fmt: skip
            self.assertEqual(
                (done.returncode, done.stdout, done.stderr), (0, b"as printed\n", b"")
            )
            self.assertEqual(len(server.welcome), 4 if "--self-signed" in args else 3)
            pem = ssl.get_server_certificate(("127.0.0.1", server.port))
            self.assertIn(f"-k --pin '{pin_of(pem)}' wss://", command)

    def test_page(self):
        server = Server(self, "--self-signed")
        pem = ssl.get_server_certificate(("127.0.0.1", server.port))
        url = f"https://127.0.0.1:{server.port}/"
        with urllib.request.urlopen(url, timeout=LIMIT, context=trusting(pem=pem)) as answer:
            self.assertIn("location.protocol === 'https:' ? 'wss://'", answer.read().decode())

    def test_self_signed_names(self):
        usual = {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"}
        for args, host, names in (
            (["--self-signed"], "127.0.0.1", usual),
            (["--self-signed", "--listen", "127.0.0.2"], "127.0.0.2", {*usual, "127.0.0.2"}),
            (["--self-signed", "--listen", "0.0.0.0"], "127.0.0.1", usual),
            (["--self-signed", "--listen", "[::1]"], "::1", usual),
            (["--self-signed=127.0.0.1,a.example"], "127.0.0.1", {"127.0.0.1", "a.example"}),
        ):
            server = Server(self, *args)
            pem = ssl.get_server_certificate((host, server.port))
            wire = dial_tls(self, server.port, trusting(pem=pem), host)
            self.assertEqual(names_of(wire.sock), names)
            self.says(wire)

    def test_files_and_versions(self):
        for files in (["--cert", good.file], ["--cert", good.alone, "--key", good.key]):
            server = Server(self, *map(str, files))
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = trusting(root)
                context.set_alpn_protocols(["h2", "http/1.1"])
                context.maximum_version = version
                wire = dial_tls(self, server.port, context)
                self.assertEqual(wire.sock.version(), str(version.name).replace("_", "."))
                self.assertEqual(wire.sock.selected_alpn_protocol(), "http/1.1")
                self.says(wire, "ü".encode() * 100000)
                wire.send(8, close_payload(1000))
                self.assertEqual(wire.recv()[0], 8)
                self.assertTrue(wire.at_end())

    def test_old_clients(self):
        server = Server(self, "--cert", str(good.file))
        with self.assertRaisesRegex(ssl.SSLError, "PROTOCOL_VERSION"):
            dial_tls(self, server.port, aged(trusting(root)))
        self.says(dial_tls(self, server.port, trusting(root)))

    def test_client_certificates(self):
        server = Server(
            self, "-v", "--cert", str(good.file), "--client-ca", str(root.alone)
        )
        self.assertIn("--cert YOURS.pem wss://", server.welcome[1])
        self.says(dial_tls(self, server.port, trusting(root, shown=client)))
        for shown in (None, other):
            with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
                dial_tls(self, server.port, trusting(root, shown=shown))
        trust = ["--ca", str(root.alone), "--cert"]
        self.passes(run("connect", *trust, str(client.file), server.url, stdin="hello\n"))
        server.interrupt()
        _, _, err = server.end()
        self.assertEqual(len(re.findall(r"over TLSv1\.3 as CN=client 7\n", err)), 2)
        told = re.findall(r"^tls: 127\.0\.0\.1:\d+: (.*)$", err, re.M)
        self.assertEqual(len(told), 2, err)
        self.assertIn("peer did not return a certificate", told[0])
        self.assertIn("certificate is not trusted: self-signed certificate", told[1])

    def test_plain_http(self):
        server = Server(self, "-v", "--self-signed")
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wire = Wire(sock)
            self.assertEqual(wire.head()[0], "HTTP/1.1 400 Bad Request")
            while wire.more():
                pass
            self.assertIn(b"plain HTTP was sent to a port that speaks TLS", wire.rest)
        server.interrupt()
        self.assertRegex(server.end()[2], r"tls: 127\.0\.0\.1:\d+: plain HTTP was sent")

    def said(self, server):
        """The next line of its standard error."""
        got = b""
        while not got.endswith(b"\n"):
            byte = server.process.stderr.read(1)
            self.assertTrue(byte, got)
            got += byte
        return got.decode()

    def test_reload(self):
        file = f"{folder.name}/renewed.pem"

        def renew(cert):
            with open(file, "wb") as out:
                out.write(cert.file.read_bytes() if cert else b"nonsense")

        fresh = Cert(folder.name, "fresh", "IP:127.0.0.1", issuer=other)
        renew(good)
        server = Server(self, "--cert", file)
        before = dial_tls(self, server.port, trusting(root))
        renew(None)
        server.interrupt(signal.SIGHUP)
        self.assertRegex(
            self.said(server),
            r"^nws: the certificates stay as they were: .*renewed\.pem: no certificate",
        )
        self.says(dial_tls(self, server.port, trusting(root)))
        renew(fresh)
        server.interrupt(signal.SIGHUP)
        self.assertRegex(self.said(server), "^Read the certificates again")
        self.says(dial_tls(self, server.port, trusting(other)))
        with self.assertRaises(ssl.SSLError):
            dial_tls(self, server.port, trusting(root))
        self.says(before)
        server.interrupt()
        self.assertEqual(before.recv()[:2], (8, close_payload(1001)))
        server.interrupt()
        self.assertEqual(server.end()[0], 0)

    def test_hangup_without_files_ends_it(self):
        for args in ([], ["--self-signed"]):
            server = Server(self, *args)
            server.interrupt(signal.SIGHUP)
            self.assertEqual(server.end()[0], -signal.SIGHUP)

    def test_both_ends_ours(self):
        server = Server(self, "--self-signed", "--max-message", "8M")
        pin = re.search(r"'(sha256//.*?)'", server.welcome[1]).group(1)
        lines = "".join(f"line {i} of many that look alike\n" for i in range(3000))
        lines += "x" * 3000000 + "\n"
        done = run(
            "connect", "--max-message", "8M", "-k", "--pin", pin, server.url, stdin=lines
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout == lines)
        done = run("ping", "-c", "2", "-i", "0.01", "-k", "--pin", pin, server.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Bench(unittest.TestCase):
    def test_bench(self):
        server = Server(self, "--cert", good.file)
        args = ("-c", "4", "--threads", "2", "-r", "100", "-d", "0.2", server.url)
        done = run("bench", "--ca", root.file, *args)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("4 of 4 connections opened", done.stdout)
        done = run("bench", *args)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr.count("is not trusted"), 1)
        self.assertIn(f"-k --pin '{good.pin}'", done.stderr)
        self.assertIn("4 x cannot connect: ", done.stdout)


if __name__ == "__main__":
    main()
