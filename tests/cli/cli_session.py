"""nws record and nws replay: what is written, what is passed on, and what is said
again and compared."""

import base64
import json
import os
import re
import tempfile
import time
import unittest
from cli_support import (
    LIMIT, FakeServer, Running, Server, close_payload, dial, refusing_port, main, run,
)  # fmt: skip

OK, USAGE, CONNECT, HANDSHAKE, CLOSED, LOST = range(6)
HEAD = '{"nws":"session","version":1,"url":"ws://a/","subprotocol":""}\n'


class Recorder(Running):
    """nws record on a free port, into a file."""

    def __init__(self, test, url, *args):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.test, self.wire = test, None
        self.path = os.path.join(folder.name, "session")
        super().__init__(test, "record", "-p", "0", *args, url, self.path)
        self.said = b""
        while not self.said.endswith(b" to record.\n"):
            byte = self.process.stderr.read(1)
            if not byte:
                break
            self.said += byte
        self.url = re.search(r"ws://\S+", self.said.decode())[0]
        self.port = int(self.url.split(":")[2].rstrip("/"))

    def dial(self, headers=""):
        self.wire, head = dial(self.test, self.port, headers)
        return self.wire, head

    def done(self):
        """Exit code, standard error, the lines of the recording."""
        if self.wire:
            self.wire.sock.close()  # which it would wait for, for a while
        code, _, errors = self.end()
        with open(self.path) as file:
            lines = [json.loads(x) for x in file]
        times = [x.pop("t") for x in lines[1:]]
        assert times == sorted(times) and all(0 <= t < LIMIT for t in times)
        return code, errors, lines


def entry(who, kind, data=b"", code=1000):
    """A line as it is to be read back, without its time."""
    line = {"from": who, "type": kind}
    if kind == "close":
        return line | {"code": code, "reason": data.decode()}
    text = data.decode() if kind == "text" else base64.b64encode(data).decode()
    return line | {"len": len(data), "data": text}


def written(*entries, step=0.0, head=HEAD):
    """A recording in a file's form."""
    lines = [{"t": i * step, **x} for i, x in enumerate(entries)]
    return head + "".join(json.dumps(x, separators=(",", ":")) + "\n" for x in lines)


def closing(wire, code=1000):
    """Takes a close, and answers it."""
    assert wire.recv()[0] == 8
    wire.send(8, close_payload(code))


class Record(unittest.TestCase):
    def test_messages(self):
        odd = 'a"b\\c\x00\x1f\x7f\n\u00e9\u2028\U0001d11e'.encode()

        def script(wire):
            wire.accept()
            got = [wire.recv()[:2] for _ in range(4)]
            wire.send(1, odd)
            wire.send(2, bytes(range(256)))
            wire.send(1, b"")
            closing(wire)
            return got

        fake = FakeServer(self, script)
        recorder = Recorder(self, fake.url)
        wire, _ = recorder.dial()
        sent = [(1, b"hi"), (2, b""), (1, odd), (2, b"\xff" * 100)]
        for opcode, payload in sent:
            wire.send(opcode, payload)
        answers = [wire.recv()[:2] for _ in range(3)]
        wire.send(8, close_payload(1000, "bye"))
        self.assertEqual(wire.recv()[:2], (8, close_payload(1000)))
        self.assertTrue(wire.at_end())
        self.assertEqual(fake.join(), sent)
        self.assertEqual(answers, [(1, odd), (2, bytes(range(256))), (1, b"")])
        code, errors, lines = recorder.done()
        self.assertEqual((code, errors), (OK, "Recorded 7 messages.\n"))
        head = {"nws": "session", "version": 1, "url": fake.url, "subprotocol": ""}
        names = {1: "text", 2: "binary"}
        self.assertEqual(lines[0], head)
        self.assertEqual(
            lines[1:],
            [entry("client", names[o], p) for o, p in sent]
            + [entry("server", names[o], p) for o, p in answers]
            + [entry("client", "close", b"bye"), entry("server", "close")],
        )

    def test_what_comes_behind_a_close(self):
        """A program that says all and closes still gets the answers."""
        server = Server(self)
        recorder = Recorder(self, server.url)
        done = run("connect", recorder.url, stdin="one\ntwo\n")
        self.assertEqual((done.returncode, done.stdout), (0, "one\ntwo\n"))
        code, _, lines = recorder.done()
        self.assertEqual((code, len(lines)), (OK, 7))
        again = run("replay", "--speed", "max", recorder.path, server.url)
        self.assertEqual((again.returncode, again.stderr), (OK, ""))
        self.assertTrue(again.stdout.startswith("2 sent, 2 received as recorded, 0 missing"))

    def test_handshake_is_passed_on(self):
        def script(wire):
            request = wire.accept("Sec-WebSocket-Protocol: b\r\n")
            closing(wire)
            return request

        fake = FakeServer(self, script)
        recorder = Recorder(self, fake.url + "x?y=1", "-H", "X-Two: ours", "-v")
        host = f"127.0.0.1:{recorder.port}"
        wire, head = recorder.dial(
            f"Origin: http://{host}\r\nSec-WebSocket-Protocol: a\r\nX-One: 1\r\n"
            "Sec-WebSocket-Protocol: b, c\r\nX-Two: theirs\r\nCookie: s3cret\r\n",
        )  # fmt: skip
        self.assertIn("Sec-WebSocket-Protocol: b", head)
        wire.send(8, close_payload(1000))
        wire.recv()
        request = fake.join()
        self.assertEqual(request[0], "GET /x?y=1 HTTP/1.1")
        for line in (f"Origin: http://{host}", "Sec-WebSocket-Protocol: a, b, c",
                     "X-One: 1", "X-Two: ours", "Cookie: s3cret"):  # fmt: skip
            self.assertIn(line, request)
        for name in ("Host", "Upgrade", "Connection", "X-Two", "Sec-WebSocket-Key"):
            self.assertEqual(sum(x.lower().startswith(name.lower() + ":") for x in request), 1)
        code, errors, lines = recorder.done()
        self.assertEqual((code, lines[0]["subprotocol"]), (OK, "b"))
        self.assertNotIn("s3cret", errors)

    def test_origins(self):
        page = "Origin: https://a.test\r\n"
        server = Server(self, "--origin", "any")
        recorder = Recorder(self, server.url)
        self.assertIn(" 403 ", recorder.dial(page)[1][0])
        recorder.interrupt()
        self.assertEqual(recorder.done()[0], OK)
        recorder = Recorder(self, server.url, "--any-origin")
        self.assertIn(" 101 ", recorder.dial(page)[1][0])

    def test_refused(self):
        server = Server(self, "--origin", "https://b.test")
        recorder = Recorder(self, server.url, "--any-origin")
        _, head = recorder.dial("Origin: https://a.test\r\n")
        self.assertIn(" 403 ", head[0])
        code, errors, lines = recorder.done()
        self.assertEqual((code, lines), (HANDSHAKE, []))
        self.assertIn("refused the handshake: 403", errors)

    def test_no_server(self):
        recorder = Recorder(self, f"ws://127.0.0.1:{refusing_port(self)}/")
        _, head = recorder.dial()
        self.assertIn(" 502 ", head[0])
        code, errors, _ = recorder.done()
        self.assertEqual(code, CONNECT)
        self.assertIn("cannot connect", errors)

    def test_server_ends(self):
        for payload, code, last in (
            (close_payload(4001, "so"), CLOSED, entry("server", "close", b"so", 4001)),
            (close_payload(1001), OK, entry("server", "close", code=1001)),
            (b"", OK, entry("server", "close", code=1005)),
        ):

            def script(wire):
                wire.accept()
                wire.send(8, payload)
                return wire.recv()[:2]

            fake = FakeServer(self, script)
            recorder = Recorder(self, fake.url)
            wire, _ = recorder.dial()
            self.assertEqual(wire.recv()[:2], (8, payload))
            wire.send(1, b"one more")
            wire.send(8, payload)
            self.assertEqual(fake.join(), (1, b"one more"))
            got, _, lines = recorder.done()
            self.assertEqual(got, code)
            self.assertEqual(lines[1], last)
            self.assertEqual(lines[2], entry("client", "text", b"one more"))

    def test_losses(self):
        fake = FakeServer(self, lambda wire: wire.accept())
        recorder = Recorder(self, fake.url)
        wire, _ = recorder.dial()
        self.assertEqual(wire.recv()[:2], (8, close_payload(1011)))
        wire.send(8, close_payload(1011))
        code, _, lines = recorder.done()
        self.assertEqual((code, lines[1]["type"], lines[1]["from"]), (LOST, "lost", "server"))
        self.assertTrue(lines[1]["why"])

        def script(wire):
            wire.accept()
            got = wire.recv()[:2]
            wire.send(8, got[1])
            return got

        fake = FakeServer(self, script)
        recorder = Recorder(self, fake.url)
        wire, _ = recorder.dial()
        wire.sock.close()
        self.assertEqual(fake.join(), (8, close_payload(1001)))
        code, _, lines = recorder.done()
        self.assertEqual((code, lines[1]["type"], lines[1]["from"]), (OK, "lost", "client"))

    def test_one_session_only(self):
        server = Server(self)
        recorder = Recorder(self, server.url)
        wire, _ = recorder.dial()
        other, head = dial(self, recorder.port)
        other.sock.close()
        self.assertIn(" 503 ", head[0])
        wire.send(1, b"still here")
        self.assertEqual(wire.recv()[:2], (1, b"still here"))
        recorder.interrupt()
        self.assertEqual(wire.recv()[:2], (8, close_payload(1001)))
        wire.send(8, close_payload(1001))
        code, _, lines = recorder.done()
        self.assertEqual((code, len(lines)), (OK, 3))

    def test_slow_reader(self):
        """Much more than the queues hold goes through, one way and back."""
        server = Server(self)
        recorder = Recorder(self, server.url)
        wire, _ = recorder.dial()
        wire.sock.settimeout(0.5)
        message = os.urandom(500000)
        sent = 0
        try:
            while sent < 200:  # and nothing is read
                wire.send(2, message)
                sent += 1
        except TimeoutError:
            pass
        self.assertTrue(4 < sent < 200, sent)
        # The last message was cut; so the rest of the stream is of no use.
        wire.sock.settimeout(LIMIT)
        for _ in range(sent - 1):
            self.assertEqual(wire.recv()[:2], (2, message))
        wire.sock.close()
        code, _, lines = recorder.done()
        self.assertGreaterEqual(len(lines), 2 * sent - 1)

    def test_files(self):
        done = run("record", "-p", "0", "ws://127.0.0.1:9/", "/no/such/file")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("cannot write /no/such/file: ", done.stderr)
        server = Server(self)
        child = Running(self, "record", "-p", "0", server.url, "/dev/full")
        said = b""
        while not said.endswith(b"\n"):
            said += child.process.stderr.read(1)
        url = re.search(r"ws://\S+", said.decode())[0]
        run("connect", url, stdin="x\n")
        code, _, errors = child.end()
        self.assertEqual(code, USAGE)
        self.assertEqual(errors.count("cannot write /dev/full: "), 1)

    def test_standard_output(self):
        server = Server(self)
        child = Running(self, "record", "-p", "0", server.url, "-")
        said = b""
        while not said.endswith(b"\n"):
            said += child.process.stderr.read(1)
        run("connect", re.search(r"ws://\S+", said.decode())[0], stdin="x\n")
        code, out, _ = child.end()
        self.assertEqual((code, out.count("\n")), (OK, 5))


class Replay(unittest.TestCase):
    def play(self, text, script, *args):
        """The outcome of a replay, and what the fake server's script returns."""

        def whole(wire):
            self.request = wire.accept()
            return script(wire)

        fake = FakeServer(self, whole)
        done = run("replay", "--speed", "max", *args, "-", fake.url, stdin=text)
        return done, fake.join()

    def test_as_recorded(self):
        text = written(
            entry("client", "text", b"a"), entry("server", "binary", b"\0\1"),
            entry("client", "binary", b"\xff"), entry("client", "close", b"why", 4002),
            entry("server", "text", b"late"), entry("server", "close", b"", 4002),
        )  # fmt: skip

        def script(wire):
            got = [wire.recv()[:2]]
            wire.send(2, b"\0\1")
            got += [wire.recv()[:2], wire.recv()[:2]]
            wire.send(1, b"late")
            wire.send(8, close_payload(4002))
            return got

        done, got = self.play(text, script)
        self.assertEqual((done.returncode, done.stderr), (OK, ""))
        self.assertEqual(got, [(1, b"a"), (2, b"\xff"), (8, close_payload(4002, "why"))])
        self.assertEqual(
            done.stdout, "2 sent, 2 received as recorded, 0 missing, 0 not recorded, "
            "0 otherwise different\n",
        )  # fmt: skip

    def test_server_closes(self):
        text = written(entry("client", "text", b"a"), entry("server", "close", b"so", 4000))

        def ending(*closes):
            def script(wire):
                wire.recv()
                wire.send(8, close_payload(*closes))
                wire.recv()

            return script

        self.assertEqual(self.play(text, ending(4000, "so"))[0].returncode, OK)
        done, _ = self.play(text, ending(4001, "so"))
        self.assertEqual(done.returncode, CLOSED)
        self.assertIn('line 3: recorded: close 4000 "so"', done.stdout)
        done, _ = self.play(text, ending(1000))
        self.assertEqual(done.returncode, LOST)
        self.assertIn("1 otherwise different", done.stdout)

    def test_differences(self):
        text = written(
            entry("client", "text", b"a"), entry("server", "text", b"one"),
            entry("server", "text", b"two"), entry("server", "text", b"three"),
        )  # fmt: skip

        def answering(*answers):
            def script(wire):
                wire.recv()
                for answer in answers:
                    wire.send(*answer)
                closing(wire)

            return script

        good = [(1, b"one"), (1, b"two"), (1, b"three")]
        self.assertEqual(self.play(text, answering(*good))[0].returncode, OK)
        for answers, words, counts in (
            ([good[0], (1, b"zwei"), good[2]],
             'line 4: recorded: text, 3 bytes: "two"\n'
             '    received: text, 4 bytes: "zwei"\n', "2 received as recorded, 0 missing, 0"),
            ([good[0], (2, b"two"), good[2]], "received: binary, 3 bytes: 74 77 6f\n", "2 r"),
            (good[:2], 'line 5: not received: text, 5 bytes: "three"\n', "2 received as recorded, 1 m"),
            ([*good, (1, b"\x1b[m")], 'not recorded: text, 3 bytes: "\\x1b[m"\n', "0 missing, 1 not"),
        ):  # fmt: skip
            with self.subTest(words=words):
                done, _ = self.play(text, answering(*answers), "--patience", "0.2")
                self.assertEqual(done.returncode, LOST)
                self.assertIn(words, done.stdout)
                self.assertIn(counts, done.stdout)

    def test_wait(self):
        text = written(
            entry("client", "text", b"a"), entry("server", "text", b"b"),
            entry("client", "text", b"c"), entry("server", "text", b"d"),
        )  # fmt: skip

        def slow(wire):
            wire.recv()
            wire.sock.settimeout(0.3)
            try:
                early = wire.recv()[1]
            except TimeoutError:
                early = None
            wire.sock.settimeout(LIMIT)
            wire.send(1, b"b")
            if early is None:
                wire.recv()
            wire.send(1, b"d")
            closing(wire)
            return early

        done, early = self.play(text, slow, "--wait")
        self.assertEqual((done.returncode, early), (OK, None))
        done, early = self.play(text, slow)
        self.assertEqual((done.returncode, early), (OK, b"c"))

        def silent(wire):
            wire.recv()
            closing(wire)

        done, _ = self.play(text, silent, "--wait", "--patience", "0.1")
        self.assertEqual(done.returncode, LOST)
        self.assertIn('line 3: not received: text, 1 bytes: "b"\n', done.stdout)
        self.assertIn('line 4: not sent: text, 1 bytes: "c"\n', done.stdout)

    def test_speed(self):
        text = written(*[entry("client", "text", b"x")] * 3, step=0.2)

        def script(wire):
            wire.recv()
            begin = time.monotonic()
            wire.recv()
            wire.recv()
            closing(wire)
            return time.monotonic() - begin

        # Sleeping never takes less than it should, but for what the first
        # message itself took.
        self.assertGreater(self.play(text, script, "--speed", "1")[1], 0.3)
        self.assertGreater(self.play(text, script, "--speed", "0.5")[1], 0.6)
        text = written(*[entry("client", "text", b"x")] * 3, step=1000)
        done, _ = self.play(text, script, "--speed", "10000")
        self.assertEqual(done.returncode, OK)

    def test_subprotocol(self):
        head = HEAD.replace('""', '"chat"')
        self.play(written(head=head), closing)
        self.assertIn("Sec-WebSocket-Protocol: chat", self.request)
        self.play(written(head=head), closing, "-s", "other")
        self.assertIn("Sec-WebSocket-Protocol: other", self.request)

    def test_strings(self):
        """Any way to write a string in JSON is read."""
        text = 'é\u2028"\\/\b\f\n\r\t\x01\U0001d11e'
        line = {"t": 0, **entry("client", "text", text.encode())}
        for ascii_only in (True, False):
            body = json.dumps(line, separators=(",", ":"), ensure_ascii=ascii_only)
            script = lambda wire: (wire.recv()[1], closing(wire))[0]
            done, got = self.play(HEAD + body.replace("/", "\\/") + "\n", script)
            self.assertEqual((done.returncode, got.decode()), (OK, text))

    def test_broken_recordings(self):
        good = '{"t":1.5,"from":"client","type":"text","len":1,"data":"a"}'
        cut = good[: good.index('"data"') + 7]
        for text, words in (
            ("", "- is empty"),
            ("hello\n", '-:1:1: expected {"nws":"session","version":1,'),
            (HEAD.replace("1", "2"), "-:1:1: expected"),
            (HEAD.replace('""', '"a b"'), "-:1:65: this cannot name a subprotocol"),
            (HEAD + "\n", '-:2:1: expected {"t":'),
            (HEAD + good + good + "\n", "-:2:59: expected the end of the line"),
            (HEAD + good.replace(":", ": ") + "\n", "-:2:6: expected a number"),
            (HEAD + good.replace("1.5", "-1"), "-:2:6: expected a number"),
            (HEAD + good.replace("1.5", "1."), "-:2:8: expected one to nine decimals"),
            (HEAD + good + "\n" + good.replace("1.5", "1.4"), "-:3:58: the time is before"),
            (HEAD + good.replace("client", "cliend"), '-:2:17: expected "client" or'),
            (HEAD + good.replace("text", "ping"), '-:2:33: expected "text", "binary"'),
            (HEAD + good.replace('"len":1', '"len":2'), 'not that of the data, which has 1 byte'),
            (HEAD + cut + '"a', "-:2:57: the string has no end"),
            (HEAD + cut + '"a\t"}', "-:2:57: a control character in a string"),
            (HEAD + cut + '"\\x"}', "-:2:57: no such escape"),
            (HEAD + cut + '"\\u12g4"}', "-:2:60: expected four hex digits"),
            (HEAD + cut + '"\\ud800"}', "-:2:62: expected \\u"),
            (HEAD + cut + '"\\ud800\\u0041"}', "expected the second half of a character"),
            (HEAD + cut + '"\\udc00"}', "the first half of a character is missing"),
            ((HEAD + good).encode().replace(b'"a"', b'"\xff"'), "this is not UTF-8"),
            (HEAD + good.replace("text", "binary"), "this is not base64"),
            (written(entry("client", "close", code=999)), "this is no close code"),
            (written(entry("client", "close", b"x" * 124)), "longer than 123"),
            (written(*[entry("server", "close")] * 2), "-:3:64: this side has said that it ends"),
        ):
            with self.subTest(words=words):
                done = run("replay", "-", "ws://127.0.0.1:9/", stdin=text)
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)
        done = run("replay", "/no/such/file", "ws://127.0.0.1:9/")
        self.assertIn("cannot open /no/such/file: ", done.stderr)

    def test_lost_and_refused(self):
        text = written(entry("client", "text", b"a"), entry("server", "text", b"b"))
        done, _ = self.play(text, lambda wire: wire.recv())
        self.assertEqual(done.returncode, LOST)
        self.assertIn("1 missing", done.stdout)
        done = run("replay", "-", f"ws://127.0.0.1:{refusing_port(self)}/", stdin=text)
        self.assertEqual((done.returncode, done.stdout), (CONNECT, ""))


if __name__ == "__main__":
    main()
