"""nws decode of network captures: pcap and pcapng, all link types, streams in
order, out of order, twice and with holes.

    cli_capture.py NWS
"""

import base64
import hashlib
import pathlib
import struct
import tempfile
import unittest
from cli_support import GUID, main, run

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


def response(extra=b""):
    accept = base64.b64encode(hashlib.sha1(KEY + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n" + extra + b"\r\n"
    )


def frame(first, payload, masked):
    assert len(payload) < 65536
    head = bytes([first])
    length = len(payload)
    if length < 126:
        head += bytes([length | (128 if masked else 0)])
    else:
        head += bytes([126 | (128 if masked else 0)]) + struct.pack(">H", length)
    if not masked:
        return head + payload
    key = b"\x11\x22\x33\x44"
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


# --- Packets ---


class Flow:
    """Makes the packets of one connection."""

    def __init__(self, six=False, ports=(4000, 80), start=(1000, 0xFFFFFFF0)):
        self.six, self.ports, self.seq = six, ports, list(start)

    def packet(self, side, data=b"", flags=0x10, seq=None, skip=True):
        a, b = self.ports if side == 0 else self.ports[::-1]
        at = self.seq[side] if seq is None else seq
        tcp = struct.pack(">HHIIBBHHH", a, b, at & 0xFFFFFFFF, 0, 0x50, flags, 1000, 0, 0)
        if skip and seq is None:
            self.seq[side] += len(data) + (flags & 3 != 0)
        return self.ip(side, tcp + data)

    def ip(self, side, body):
        if self.six:
            hosts = [b"\x20\x01\x0d\xb8" + bytes(11) + bytes([i]) for i in (1, 2)]
            # a hop-by-hop header in front of TCP
            body = bytes([6, 0, 1, 4, 0, 0, 0, 0]) + body
            head = struct.pack(">IHBB", 6 << 28, len(body), 0, 64)
            return head + hosts[side] + hosts[1 - side] + body
        hosts = [bytes([192, 0, 2, i]) for i in (1, 2)]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, 64, 6, 0)
        return head + hosts[side] + hosts[1 - side] + body

    def syn(self):
        return [self.packet(0, flags=2), self.packet(1, flags=0x12), self.packet(0)]

    def fin(self):
        return [self.packet(0, flags=0x11), self.packet(1, flags=0x11)]


LINKS = {
    1: lambda p: b"\2" * 12 + (b"\x86\xdd" if p[0] >> 4 == 6 else b"\x08\x00") + p,
    0: lambda p: struct.pack("<I", 30 if p[0] >> 4 == 6 else 2) + p,
    101: lambda p: p,
    108: lambda p: struct.pack(">I", 2) + p,
    113: lambda p: bytes(16) + p,
    276: lambda p: bytes(20) + p,
}


def pcap(packets, link=1, order="<", nano=False, snap=None):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for i, packet in enumerate(packets):
        data = LINKS[link](packet)
        here = data[:snap]
        parts = 1000 * i * (1000 if nano else 1)
        out += struct.pack(order + "IIII", 1700000000, parts, len(here), len(data)) + here
    return out


def pcapng(packets, link=1, order="<", resolution=None):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        length = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + length + body + length

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = b""
    if resolution is not None:
        options = struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    out += block(1, struct.pack(order + "HHI", link, 0, 65535) + options)
    out += block(5, bytes(12))  # statistics
    per_second = 10 ** (6 if resolution is None else resolution)
    for i, packet in enumerate(packets):
        data = LINKS[link](packet)
        ticks = 1700000000 * per_second + i * per_second // 1000
        head = struct.pack(
            order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)
        )
        out += block(6, head + data)
    return out


def conversation(flow):
    """A handshake, a message each way, and a close."""
    return [
        *flow.syn(),
        flow.packet(0, REQUEST),
        flow.packet(1, response() + frame(0x81, b"hello", False)),
        flow.packet(0, frame(0x81, b"Hi \xe2\x82\xac", True)),
        flow.packet(0, frame(0x88, b"\x03\xe8bye", True)),
        flow.packet(1, frame(0x88, b"\x03\xe8", False)),
        *flow.fin(),
    ]


EXPECTED = """\
   0.004000 #1 192.0.2.1:4000 to 192.0.2.2:80 /chat?x=1
   0.004000 #1 <        0  fin text len=5 "hello"
   0.005000 #1 >        0  fin text mask=11223344 len=6 "Hi €"
   0.006000 #1 >       12  fin close mask=11223344 len=5 1000 (normal closure) "bye"
   0.007000 #1 <        7  fin close len=2 1000 (normal closure)
   0.006000 #1 >       23  end: 2 frames, no violation
   0.007000 #1 <       11  end: 2 frames, no violation
"""


# --- Tests ---


def decode_file(test, data, *options, code=0):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "c.pcap")
        path.write_bytes(data)
        done = run("decode", *options, str(path))
    test.assertEqual(done.returncode, code, done.stdout + done.stderr)
    return done.stdout, done.stderr


class Captures(unittest.TestCase):
    def decode(self, data, *options, code=0):
        return decode_file(self, data, *options, code=code)

    def test_forms(self):
        for order in "<>":
            for link in LINKS:
                packets = conversation(Flow())
                for form in (pcap, pcapng):
                    out, err = self.decode(form(packets, link, order))
                    self.assertEqual(out, EXPECTED, (form, link, order))
                    self.assertEqual(err, "")
            self.assertEqual(self.decode(pcap(packets, nano=True, order=order))[0], EXPECTED)
            for resolution in (3, 6, 9):
                data = pcapng(packets, order=order, resolution=resolution)
                self.assertEqual(self.decode(data)[0], EXPECTED)

    def test_standard_input(self):
        done = run("decode", stdin=pcap(conversation(Flow())))
        self.assertEqual(done.stdout, EXPECTED)

    def test_ipv6_and_vlan(self):
        expected = EXPECTED.replace("192.0.2.", "2001:db8::").replace("1:4000", "1]:4000")
        expected = expected.replace("2:80 ", "2]:80 ").replace("#1 2001", "#1 [2001")
        expected = expected.replace("to 2001", "to [2001")
        self.assertEqual(self.decode(pcap(conversation(Flow(six=True))))[0], expected)
        LINKS[1], plain = lambda p: b"\2" * 12 + b"\x81\x00\0\x07\x08\x00" + p, LINKS[1]
        self.assertEqual(self.decode(pcap(conversation(Flow())))[0], EXPECTED)
        LINKS[1] = plain

    def test_every_cut(self):
        """Whatever the segments, the frames are the same."""
        data = frame(0x81, b"Hi \xe2\x82\xac", True) + frame(0x88, b"\x03\xe8bye", True)
        for size in (1, 2, 3, 7):
            flow = Flow()
            packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
            for at in range(0, len(data), size):
                packets.append(flow.packet(0, data[at : at + size]))
            out = self.decode(pcap(packets))[0]
            self.assertIn('fin text mask=11223344 len=6 "Hi €"\n', out)
            self.assertIn("23  end: 2 frames, no violation\n", out)

    def test_disorder(self):
        """Late, early, twice, overlapping: each byte counts once, in its place."""
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
        data = b"".join(frame(0x82, bytes([i]) * 50, True) for i in range(20))
        base = flow.seq[0]
        pieces = [(at, data[at : at + 60]) for at in range(0, len(data), 40)]
        order = [pieces[i ^ 1] if i ^ 1 < len(pieces) else pieces[i] for i in range(len(pieces))]
        for at, piece in [*order, *order[:5]]:
            packets.append(flow.packet(0, piece, seq=base + at))
        out = self.decode(pcap(packets))[0]
        for i in range(20):
            self.assertIn(f"len=50 {' '.join(['%02x' % i] * 50)}\n", out)
        self.assertIn(f"{len(data)}  end: 20 frames, no violation\n", out)

    def test_holes(self):
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
        packets.append(flow.packet(0, frame(0x81, b"one", True)))
        flow.packet(0, b"lost")
        for _ in range(80):
            packets.append(flow.packet(0, bytes(60000)))
        out, _ = self.decode(pcap(packets), code=5)
        self.assertIn('"one"', out)
        self.assertIn("9  cannot go on: packets are missing in the capture\n", out)
        # at the end nothing can come any more
        out, _ = self.decode(pcap(packets[:7]), code=5)
        self.assertIn("9  cannot go on: packets are missing in the capture\n", out)
        out, _ = self.decode(pcap(packets[:6]))
        self.assertIn("9  end: 1 frame, no violation\n", out)

    def test_cut_packets(self):
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
        packets.append(flow.packet(0, frame(0x82, bytes(1000), True)))
        out, _ = self.decode(pcap(packets, snap=400), code=5)
        self.assertIn("0  cannot go on: the capture has only the begin of a packet\n", out)

    def test_several(self):
        """Connections side by side; one name after another; others left out."""
        one, two, other = Flow(), Flow(ports=(4001, 80)), Flow(ports=(4002, 443))
        a, b = conversation(one), conversation(two)
        mixed = [p for pair in zip(a, b) for p in pair]
        mixed += [*other.syn(), other.packet(0, b"\x16\x03\x01\x02\0"), *other.fin()]
        mixed += conversation(Flow())  # the first one's ports again
        out, err = self.decode(pcap(mixed))
        for number in (1, 2, 3):
            self.assertIn(f"#{number} 192.0.2.1:400{number % 3 - 1 if number < 3 else 0}", out)
            self.assertEqual(out.count(f"#{number} > "), 3)
            self.assertEqual(out.count(f"#{number} < "), 3)
        self.assertIn("nws: 3 WebSocket connections; 1 other TCP connection left out", err)

    def test_violations(self):
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
        packets.append(flow.packet(0, frame(0x81, b"unmasked", False)))
        packets.append(flow.packet(0, frame(0x81, b"later", True)))
        packets.append(flow.packet(1, frame(0x81, b"fine", False)))
        out, _ = self.decode(pcap(packets), code=5)
        self.assertIn("violation in the frame at 0: ", out)
        self.assertEqual(out.count("#1 > "), 1)
        self.assertNotIn("later", out)
        self.assertIn('"fine"', out)
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, REQUEST), flow.packet(1, response())]
        packets.append(flow.packet(1, frame(0x81, b"cut short", False)[:5]))
        out, _ = self.decode(pcap(packets), code=5)
        self.assertIn("truncated: 6 bytes missing of the frame at 0\n", out)

    def test_not_websocket(self):
        flow = Flow()
        packets = [*flow.syn(), flow.packet(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
        packets.append(flow.packet(1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        out, err = self.decode(pcap(packets))
        self.assertEqual(out, "")
        self.assertIn("0 WebSocket connections; 1 other TCP connection left out", err)

    def test_broken_files(self):
        data = pcap(conversation(Flow()))
        _, err = self.decode(data[:-3], code=1)
        self.assertIn("the file ends inside a packet", err)
        _, err = self.decode(data[:24] + b"\0" * 8 + b"\xff" * 8, code=1)
        self.assertIn("at byte 24: a packet of more than 1 MiB", err)
        ng = pcapng(conversation(Flow()))
        _, err = self.decode(ng[:28] + b"\1\0\0\0\7\0\0\0" + bytes(8), code=1)
        self.assertIn("at byte 28: a block of an impossible length", err)
        _, err = self.decode(ng[:28] + b"\6\0\0\0\x20\0\0\0" + bytes(24), code=1)
        self.assertIn("a packet of an unknown interface", err)
        for cut in range(4, len(data), 37):
            _, err = self.decode(data[:cut], code=1)
            self.assertIn("the file ends inside a packet", err)


if __name__ == "__main__":
    main()
