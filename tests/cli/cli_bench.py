"""nws bench: counts, latency from when messages were due, answers held against
what was sent, failures by kind, limits."""

import json
import os
import pty
import re
import resource
import subprocess
import threading
import time
import unittest
from cli_support import FakeServer, LIMIT, NWS, Running, Server, close_payload, refusing_port, main, run

CODE = {"ok": 0, "usage": 1, "connect": 2, "handshake": 3, "closed": 4, "lost": 5}
TIMES = ("min", "p50", "p90", "p99", "p99.9", "max")


def bench(*args):
    """Exit code, result, standard error."""
    done = run("bench", "--json", *args)
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["exit_code"] == done.returncode
    return done.returncode, result, done.stderr


def echo(wire, change=lambda number, opcode, payload: [(opcode, payload)], end=None):
    """Answers messages as `change` says, which is given their number; after
    message `end`, stops."""
    number = 0
    while True:
        opcode, payload, _ = wire.recv()
        if opcode == 8:
            wire.send(8, payload)
            return number
        number += 1
        for answer in change(number, opcode, payload):
            wire.send(*answer)
        if number == end:
            return number


def echoing(*args, **options):
    def script(wire):
        wire.accept()
        return echo(wire, *args, **options)

    return script


def ordered(times):
    values = [times[x] for x in TIMES]
    return values == sorted(values) and values[0] > 0


class Load(unittest.TestCase):
    def test_open_loop_sends_what_is_due(self):
        server = Server(self)
        code, result, errors = bench(
            "-c", "4", "--threads", "2", "-r", "200", "--warmup", "0.25", "-d", "0.5",
            "--size", "1-2K", server.url,
        )  # fmt: skip
        self.assertEqual((code, errors, result["failures"]), (0, "", []))
        self.assertEqual((result["opened"], result["connect_ms"]["count"]), (4, 4))
        self.assertEqual((result["rate"], result["size"]), (200, [1, 2048]))
        self.assertEqual((result["sent_in_all"], result["answered_in_all"]), (150, 150))
        # Those of the warm-up are not among the times.
        self.assertEqual(result["latency_ms"]["count"], 100)
        self.assertEqual(result["late_ms"]["count"], 100)
        self.assertTrue(ordered(result["latency_ms"]))
        self.assertEqual(result["measured_seconds"], 0.5)

    def test_odd_shares(self):
        """Rates and numbers of connections that do not divide."""
        server = Server(self)
        for connections, threads, rate, due in ((7, 3, 31, 16), (9, 2, 4, 2), (1, 1, 1, 1)):
            _, result, _ = bench(
                "-c", str(connections), "--threads", str(threads), "-r", str(rate), "-d",
                "0.5", server.url,
            )  # fmt: skip
            self.assertEqual(result["sent_in_all"], due)
            self.assertEqual(result["answered_in_all"], due)

    def test_closed_loop(self):
        server = Server(self)
        for args in ((), ("--in-flight", "16", "-b"), ("--size", "3"), ("--size", "200K")):
            code, result, errors = bench("-c", "3", "-d", "0.3", *args, server.url)
            self.assertEqual((code, errors), (0, ""))
            self.assertEqual(result["sent_in_all"], result["answered_in_all"])
            self.assertGreater(result["sent_in_all"], 3)
            self.assertTrue(ordered(result["latency_ms"]))
            self.assertNotIn("rate", result)

    def test_in_flight_is_a_limit(self):
        def script(wire):
            wire.accept()
            got = [wire.recv() for _ in range(5)]
            wire.sock.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                wire.recv()
            wire.sock.settimeout(LIMIT)
            wire.send(*got[0][:2])
            got.append(wire.recv())
            with self.assertRaises(TimeoutError):
                wire.sock.settimeout(0.3)
                wire.recv()
            wire.sock.settimeout(LIMIT)
            for opcode, payload, _ in got[1:]:
                wire.send(opcode, payload)
            checked.set()
            return echo(wire)

        checked = threading.Event()
        fake = FakeServer(self, script)
        child = Running(self, "bench", "--in-flight", "5", "-d", "1000", fake.url)
        self.assertTrue(checked.wait(LIMIT))
        child.interrupt()
        code, out, _ = child.end()
        fake.join()
        self.assertEqual(code, 0)
        self.assertIn("\n0 unanswered, 0 wrong, 0 not sent", out)

    def test_latency_counts_from_when_due(self):
        """A pause of half a second delays half of the messages, not one."""

        def script(wire):
            wire.accept()
            first = wire.recv()
            time.sleep(0.5)
            wire.send(*first[:2])
            return echo(wire)

        code, result, _ = bench("-r", "100", "-d", "1", FakeServer(self, script).url)
        self.assertEqual((code, result["latency_ms"]["count"]), (0, 100))
        # Message 10 was due after 0.1 s, and so waited for 0.4 s at least.
        self.assertGreater(result["latency_ms"]["p90"], 390)
        self.assertGreater(result["latency_ms"]["mean"], 100)

        code, result, _ = bench("-d", "1", FakeServer(self, script).url)
        self.assertEqual(code, 0)
        self.assertGreater(result["latency_ms"]["max"], 490)

    def test_messages(self):
        """All different, of lengths in the range, with their numbers in order."""
        seen = []

        def keep(number, opcode, payload):
            seen.append((opcode, payload))
            return [(opcode, payload)]

        fake = FakeServer(self, echoing(keep))
        code, result, _ = bench("-r", "100", "-d", "0.5", "--size", "20-90", fake.url)
        self.assertEqual((code, fake.join()), (0, 50))
        self.assertEqual({opcode for opcode, _ in seen}, {1})
        self.assertEqual([int(x[:16], 16) for _, x in seen], list(range(50)))
        lengths = {len(x) for _, x in seen}
        self.assertTrue(min(lengths) >= 20 and max(lengths) <= 90 and len(lengths) > 5)
        self.assertEqual(sum(len(x) for _, x in seen), result["sent"]["bytes"])

    def test_interrupt(self):
        started = threading.Event()

        def note(number, opcode, payload):
            if number == 20:
                started.set()
            return [(opcode, payload)]

        fake = FakeServer(self, echoing(note))
        child = Running(self, "bench", "-r", "200", "-d", "1000", fake.url)
        self.assertTrue(started.wait(LIMIT))
        child.interrupt()
        code, out, errors = child.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertRegex(out, r"\n0 unanswered, 0 wrong, 0 not sent in time\n")
        sent = int(re.search(r"^sent +(\d+) messages", out, re.M)[1])
        self.assertEqual(fake.join(), sent)

    def test_interrupt_twice(self):
        started = threading.Event()

        def swallow(number, opcode, payload):
            started.set()
            return []

        fake = FakeServer(self, echoing(swallow))
        child = Running(self, "bench", "-d", "1000", "-W", "1000", fake.url)
        self.assertTrue(started.wait(LIMIT))
        child.interrupt()
        with self.assertRaises(Exception):
            child.process.wait(0.3)  # for the answer
        child.interrupt()
        code, out, _ = child.end()
        self.assertEqual(code, CODE["lost"])
        self.assertIn("1 unanswered", out)

    def test_interrupt_while_connecting(self):
        gone = threading.Event()

        def script(wire):
            wire.head()
            asked.set()
            gone.wait(LIMIT)

        asked = threading.Event()
        fake = FakeServer(self, script)
        self.addCleanup(gone.set)
        child = Running(self, "bench", "-c", "3", "--ramp", "3000", "-t", "0", fake.url)
        self.assertTrue(asked.wait(LIMIT))
        child.interrupt()
        code, out, _ = child.end()
        self.assertEqual(code, 0)
        self.assertIn("0 of 3 connections opened", out)

    def test_progress(self):
        server = Server(self)
        read, write = pty.openpty()
        self.addCleanup(os.close, read)
        done = run_on(write, "bench", "-d", "1.2", server.url)
        shown = os.read(read, 65536).decode()
        self.assertEqual(done, 0)
        self.assertRegex(shown, r"running: \d s, 1 of 1 open, 0 failed, \d+/s sent")
        self.assertTrue(shown.endswith("\r\x1b[K"))


def run_on(stderr, *args):
    done = subprocess.run(
        [NWS, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
        timeout=LIMIT,
    )  # fmt: skip
    os.close(stderr)
    return done.returncode


class Faults(unittest.TestCase):
    def check(self, change, wrong, unanswered, *args, code=CODE["lost"]):
        fake = FakeServer(self, echoing(change))
        got, result, _ = bench("-r", "100", "-d", "0.2", *args, fake.url)
        self.assertEqual(fake.join(), 20)
        self.assertEqual((result["wrong"], result["unanswered"]), (wrong, unanswered))
        self.assertEqual(got, code)
        return result

    def test_wrong_answers(self):
        def flip(number, opcode, payload):
            if number == 3:
                payload = payload[:-1] + b"?"
            return [(opcode, payload)]

        result = self.check(flip, 1, 0)
        self.assertEqual(result["latency_ms"]["count"], 19)
        result = self.check(flip, 0, 0, "--no-check", code=0)
        self.assertEqual(result["latency_ms"]["count"], 20)

    def test_other_wrong_answers(self):
        def short(number, opcode, payload):
            return [(opcode, payload[:-1] if number == 3 else payload)]

        def kind(number, opcode, payload):
            return [(2 if number == 3 else opcode, payload)]

        def twice(number, opcode, payload):
            return [(opcode, payload)] * (2 if number == 10 else 1)

        def empty(number, opcode, payload):
            return [(opcode, b"" if number == 3 else payload)]

        for change in (short, kind, twice, empty):
            with self.subTest(change=change.__name__):
                self.check(change, 1, 0)

    def test_answers_passed_over(self):
        def skip(number, opcode, payload):
            return [] if number in (3, 4, 9) else [(opcode, payload)]

        # Several have to be under way, or the next answer is to the next message.
        held = []

        def late(number, opcode, payload):
            held.extend(skip(number, opcode, payload))
            return held if number == 20 else []

        result = self.check(late, 0, 3)
        self.assertEqual(result["answered_in_all"], 17)

    def test_order(self):
        held = []

        def swap(number, opcode, payload):
            held.append((opcode, payload))
            if number < 20:
                return []
            return [held[0], held[2], held[1], *held[3:]]

        # Message 2 was passed over, and its answer then came too late.
        result = self.check(swap, 1, 1)
        self.assertEqual(result["answered_in_all"], 19)

    def test_silence(self):
        fake = FakeServer(self, echoing(lambda *message: []))
        code, result, _ = bench("-r", "100", "-d", "0.1", "-W", "0.1", fake.url)
        self.assertEqual((code, fake.join()), (CODE["lost"], 10))
        self.assertEqual((result["unanswered"], result["wrong"]), (10, 0))
        self.assertEqual(result["latency_ms"], {"count": 0})

    def test_server_that_does_not_read(self):
        done = threading.Event()

        def script(wire):
            wire.accept()
            done.wait(LIMIT)

        fake = FakeServer(self, script)
        self.addCleanup(done.set)
        code, result, errors = bench(
            "-r", "1000", "-d", "0.5", "--size", "100K", "-W", "0", "-t", "0.3", fake.url
        )
        self.assertEqual(code, CODE["lost"])
        self.assertGreater(result["unsent"], 0)
        self.assertEqual(result["unsent"] + result["sent_in_all"], 500)
        self.assertEqual(result["unanswered"], result["sent_in_all"])
        self.assertEqual(errors.count("\n"), 1)

    def test_closed_early(self):
        for reply, code, failure in (
            (close_payload(1011, "tired"), "closed", {"close_code": 1011}),
            (close_payload(1000), "lost", {"close_code": 1000}),
            (close_payload(4000), "closed", {"close_code": 4000}),
        ):

            def script(wire):
                wire.accept()
                echo(wire, end=2)
                wire.send(8, reply)
                while wire.recv()[0] != 8:
                    pass

            got, result, errors = bench("-r", "100", "-d", "2", FakeServer(self, script).url)
            self.assertEqual(got, CODE[code])
            (told,) = result["failures"]
            self.assertEqual({**told, **failure, "count": 1}, told)
            self.assertIn(f"closed by the server: {failure['close_code']}", told["what"])
            self.assertIn(f"closed by the server: {failure['close_code']}", errors)

    def test_cut(self):
        def script(wire):
            wire.accept()
            echo(wire, end=2)

        code, result, errors = bench("-r", "100", "-d", "1", FakeServer(self, script).url)
        self.assertEqual(code, CODE["lost"])
        self.assertTrue(result["failures"][0]["what"].startswith("connection lost: "))
        self.assertIn("connection lost", errors)
        # It does not go on without a connection.
        self.assertLess(result["measured_seconds"], 1)

    def test_rule_broken(self):
        def script(wire):
            wire.accept()
            wire.sock.sendall(b"\xff\x00")
            while True:
                if wire.recv()[0] == 8:
                    return

        code, result, errors = bench("-d", "1", FakeServer(self, script).url)
        self.assertEqual(code, CODE["lost"])
        self.assertIn("broke a rule", errors)

    def test_refused(self):
        server = Server(self, "--origin", "https://a.test")
        args = ("-c", "3", "-o", "https://b.test", server.url)
        code, result, errors = bench(*args)
        self.assertEqual((code, result["opened"]), (CODE["handshake"], 0))
        self.assertEqual(
            result["failures"],
            [{"count": 3, "status": 403, "what": "the server refused the handshake: 403"}],
        )
        self.assertEqual(errors.count("refused the handshake"), 1)
        errors = run("bench", "-v", *args).stderr
        self.assertEqual(errors.count("refused the handshake"), 3)

    def test_no_server(self):
        code, result, errors = bench("-c", "2", f"ws://127.0.0.1:{refusing_port(self)}/")
        self.assertEqual((code, result["opened"]), (CODE["connect"], 0))
        self.assertEqual(result["failures"][0]["count"], 2)
        self.assertIn("cannot connect to 127.0.0.1", errors)

    def test_some_fail(self):
        """The others share the load."""
        fake = FakeServer(self, echoing())
        fake.script = lambda wire: (fake.listener.close(), echoing()(wire))[1]
        code, result, _ = bench("-c", "3", "--ramp", "0.3", "-r", "50", "-d", "0.2", fake.url)
        self.assertEqual((code, result["opened"]), (CODE["connect"], 1))
        self.assertEqual(result["failures"][0]["count"], 2)
        self.assertEqual((fake.join(), result["answered_in_all"]), (10, 10))

    def test_options_of_the_handshake(self):
        def script(wire):
            request = wire.accept("Sec-WebSocket-Protocol: b\r\n")
            echo(wire)
            return request

        fake = FakeServer(self, script)
        args = ("-H", "X-A: 1", "-s", "b", "-o", "https://a.test", "-d", "0.1", "-v")
        done = run("bench", *args, fake.url)
        self.assertEqual(done.returncode, 0)
        for line in ("X-A: 1", "Sec-WebSocket-Protocol: b", "Origin: https://a.test"):
            self.assertIn(line, fake.join())
        self.assertIn("< 101 Switching Protocols", done.stderr)
        self.assertIn("subprotocol b", done.stderr)

    def test_descriptors(self):
        server = Server(self)

        def limit(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        args = ("bench", "-c", "100", "-d", "0.1", server.url)
        done = run(*args, preexec_fn=limit(100, 120))
        self.assertEqual((done.returncode, done.stdout), (CODE["usage"], ""))
        self.assertRegex(done.stderr, r"100 connections need \d+ open files, .* 120;")
        done = run(*args, preexec_fn=limit(64, 300))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("100 of 100 connections opened", done.stdout)


if __name__ == "__main__":
    main()
