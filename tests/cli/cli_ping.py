"""nws ping: times, statistics, losses."""

import re
import unittest
from cli_support import FakeServer, Running, Server, close_payload, free_port, main, run

LINE = re.compile(r"^pong from 127\.0\.0\.1:\d+: seq=(\d+) time=([\d.]+) ms$")


def statistics(text):
    """Pings, answers, and the four times of the summary."""
    counts = re.search(r"^(\d+) pings, (\d+) answered, ([\d.]+)% lost$", text, re.M)
    times = re.search(r"^rtt min/avg/max/mdev = ([\d./]+) ms$", text, re.M)
    return (
        int(counts[1]),
        int(counts[2]),
        float(counts[3]),
        [float(x) for x in times[1].split("/")] if times else None,
    )


def answers(choose, end=None):
    """A server that answers those pings that `choose` takes by their number."""

    def script(wire):
        wire.accept()
        number = 0
        while True:
            opcode, payload, _ = wire.recv()
            if opcode == 8:
                wire.send(8, payload)
                return number
            number += 1
            if choose(number):
                wire.send(10, payload)
            if end and number == end[0]:
                wire.send(8, close_payload(end[1]))

    return script


class Ping(unittest.TestCase):
    def test_all_answered(self):
        server = Server(self)
        done = run("ping", "-c", "4", "-i", "0.02", server.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [LINE.match(x) for x in done.stdout.splitlines()[:4]]
        self.assertEqual([int(m[1]) for m in lines], [1, 2, 3, 4])
        times = [float(m[2]) for m in lines]
        sent, got, lost, (low, mean, high, deviation) = statistics(done.stdout)
        self.assertEqual((sent, got, lost), (4, 4, 0))
        self.assertAlmostEqual(low, min(times), 2)
        self.assertAlmostEqual(high, max(times), 2)
        self.assertAlmostEqual(mean, sum(times) / 4, 2)
        square = sum(t * t for t in times) / 4 - (sum(times) / 4) ** 2
        self.assertAlmostEqual(deviation, max(square, 0) ** 0.5, 1)

    def test_loss(self):
        fake = FakeServer(self, answers(lambda n: n % 2))
        done = run("ping", "-c", "4", "-i", "0.05", "-W", "0.3", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(statistics(done.stdout)[:3], (4, 2, 50.0))
        self.assertIn("seq=2 no answer within 0.3 s", done.stdout)
        self.assertEqual(fake.join(), 4)

    def test_none_answered(self):
        fake = FakeServer(self, answers(lambda n: False))
        done = run("ping", "-c", "1", "-W", "0.1", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(statistics(done.stdout), (1, 0, 100.0, None))

    def test_interrupt(self):
        server = Server(self)
        child = Running(self, "ping", "-i", "0.05", server.url)
        for number in (1, 2):
            self.assertEqual(int(LINE.match(child.line())[1]), number)
        child.interrupt()
        code, out, _ = child.end()
        self.assertEqual(code, 0)
        sent, got, lost, _ = statistics(out)
        self.assertGreaterEqual(sent, 2)
        self.assertEqual((got, lost), (sent, 0))

    def test_closed_early(self):
        fake = FakeServer(self, answers(lambda n: True, end=(1, 1000)))
        done = run("ping", "-c", "3", "-i", "0.2", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(statistics(done.stdout)[:2], (1, 1))
        fake = FakeServer(self, answers(lambda n: True, end=(1, 1011)))
        done = run("ping", "-c", "3", "-i", "0.2", fake.url)
        self.assertEqual(done.returncode, 4)
        self.assertIn("1011", done.stderr)

    def test_foreign_pongs_do_not_count(self):
        def script(wire):
            wire.accept()
            payload = wire.recv()[1]
            for strange in (b"", b"nws ping 2", b"nws ping 1x", payload, payload):
                wire.send(10, strange)
            wire.recv()
            wire.send(8)

        done = run("ping", "-c", "1", FakeServer(self, script).url)
        self.assertEqual(statistics(done.stdout)[:2], (1, 1))
        self.assertEqual(done.stdout.count("seq="), 1)

    def test_cannot_connect(self):
        done = run("ping", "-c", "1", f"ws://127.0.0.1:{free_port()}/")
        self.assertEqual((done.returncode, done.stdout), (2, ""))


if __name__ == "__main__":
    main()
