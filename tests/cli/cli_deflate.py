"""Compression in nws serve, connect and decode: the option --deflate."""

import os
import random
import re
import subprocess
import unittest
import zlib
import cli_capture as capture
from cli_support import (
    NWS, FakeServer, Running, Server, close_payload, dial, frame, main, run,
)  # fmt: skip

# The frames of RFC 7692 7.2.3, and the lines for them.
HELLO = "c1 07 f2 48 cd c9 c9 07 00"
AGAIN = "c1 05 f2 00 11 00 00"
EXAMPLES = [
    (HELLO, ['fin rsv1 text len=7 inflated=5 "Hello"']),
    (
        "41 03 f2 48 cd 80 04 c9 c9 07 00",
        [
            '--- rsv1 text len=3 inflated=2 "He"',
            'fin continuation len=4 inflated=3 "llo"',
        ],
    ),
    (
        HELLO + AGAIN,
        [
            'fin rsv1 text len=7 inflated=5 "Hello"',
            'fin rsv1 text len=5 inflated=5 "Hello"',
        ],
    ),
    (
        HELLO + HELLO,
        ['fin rsv1 text len=7 inflated=5 "Hello"'] * 2,
    ),
    (
        "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00",
        ['fin rsv1 text len=11 inflated=5 "Hello"'],
    ),
    (
        "c1 08 f3 48 cd c9 c9 07 00 00",
        ['fin rsv1 text len=8 inflated=5 "Hello"'],
    ),
    (
        "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
        ['fin rsv1 text len=13 inflated=5 "Hello"'],
    ),
    # An empty message, and one that is not compressed.
    ("c1 01 00", ["fin rsv1 text len=1 inflated=0"]),
    ("c2 00", ["fin rsv1 binary len=0 inflated=0"]),
    ("81 02 68 69 89 00", ['fin text len=2 "hi"', "fin ping len=0"]),
    (
        "c2 07 f2 48 cd c9 c9 07 00",
        ["fin rsv1 binary len=7 inflated=5 48 65 6c 6c 6f"],
    ),
]

# Settings, input, offset of the violation (None: where it may be), its frame,
# words that must be told.
VIOLATIONS = [
    ("", "c1 04 06 00 00 00", 2, 0, "cannot decode"),
    ("", "81 00 c1 04 06 00 00 00", 4, 2, "cannot decode"),
    ("", AGAIN, 2, 0, "cannot decode"),
    ("=no-takeover", HELLO + AGAIN, 11, 9, "cannot decode"),
    ("", "c9 00", 0, 0, "RFC 6455 5.2"),
    ("", "41 00 c0 00", 2, 2, "RFC 6455 5.2"),
    ("", "a1 00", 0, 0, "RFC 6455 5.2"),
    ("", "c1 07 00 01 00 fe ff c3 00", None, 0, "close 1007"),
]


def compressor(bits=15):
    return zlib.compressobj(wbits=-bits)


def compress(state, data):
    """The payload of one message."""
    return (state.compress(data) + state.flush(zlib.Z_SYNC_FLUSH))[:-4]


def compressed(data, bits=15):
    return frame(2, compress(compressor(bits), data), rsv=0x40)


class Deflate(unittest.TestCase):
    def test_serve(self):
        offer = "permessage-deflate; client_max_window_bits"
        packed = zlib.compressobj(wbits=-9)
        payload = packed.compress(b"again " * 50) + packed.flush(zlib.Z_SYNC_FLUSH)
        for args, answer in (
            ((), None),
            (("--deflate=off",), None),
            (("--deflate", "--deflate=off"), None),
            (("--deflate",), "permessage-deflate"),
            (("--deflate=takeover",), "permessage-deflate"),
            (("--deflate=no-takeover,bits=9",), "permessage-deflate; "
             "client_max_window_bits=9; client_no_context_takeover; "
             "server_max_window_bits=9; server_no_context_takeover"),
        ):  # fmt: skip
            server = Server(self, *args)
            header = f"Sec-WebSocket-Extensions: {offer}\r\n"
            wire, head = dial(self, server.port, header)
            found = [x for x in head if x.lower().startswith("sec-websocket-ext")]
            if answer is None:
                self.assertEqual(found, [], args)
                continue
            words = found[0].split(": ")[1].split("; ")
            self.assertEqual("; ".join(words[:1] + sorted(words[1:])), answer)
            wire.send(1, payload[:-4], rsv=0x40)
            self.assertEqual(wire.take(1), b"\xc1")
            size = wire.take(1)[0]
            self.assertLess(size, 50)
            inflate = zlib.decompressobj(wbits=-9 if "9" in answer else -15)
            got = inflate.decompress(wire.take(size) + b"\0\0\xff\xff")
            self.assertEqual(got, b"again " * 50)

    def test_connect(self):
        for args, words in (
            ((), {"client_max_window_bits"}),
            (("--deflate",), {"client_max_window_bits"}),
            (("--deflate=no-takeover",), {
                "client_max_window_bits", "client_no_context_takeover",
                "server_no_context_takeover"}),
            (("--deflate=bits=9",), {
                "client_max_window_bits=9", "server_max_window_bits=9"}),
            (("--deflate=off",), None),
        ):  # fmt: skip
            fake = FakeServer(self, lambda wire: (wire.accept(), wire.send(8)))
            run("connect", *args, fake.url)
            offers = [x.partition(": ")[2].split(",")[0].split("; ")
                      for x in fake.join()[0] if x.startswith("Sec-WebSocket-Ext")]  # fmt: skip
            if words is None:
                self.assertEqual(offers, [])
            else:
                self.assertEqual(offers[0][0], "permessage-deflate")
                self.assertEqual(set(offers[0][1:]), words)
        for how in ("", "=no-takeover", "=bits=8", "=takeover,bits=10", "=off"):
            server = Server(self, "--deflate")
            lines = "".join(f"line {i} of many that look alike\n" for i in range(500))
            done = run("connect", f"--deflate{how}", server.url, stdin=lines)
            self.assertEqual((done.returncode, done.stdout), (0, lines), how)

    def test_connect_tells_what_was_offered_and_taken(self):
        offered = "> Sec-WebSocket-Extensions: permessage-deflate; "
        taken = "< Sec-WebSocket-Extensions: permessage-deflate"
        for server_args, args, words in (
            (("--deflate",), (), (True, True)),
            ((), ("--deflate=bits=9",), (True, False)),
            (("--deflate",), ("--deflate=off",), (False, False)),
        ):
            server = Server(self, *server_args)
            done = run("connect", "-v", *args, server.url)
            self.assertEqual((offered in done.stderr, taken in done.stderr), words)

    def test_mistakes(self):
        for args, words in (
            (("serve", "--deflate=bits=7"), "--deflate=bits=7: wants off"),
            (("serve", "--deflate="), "--deflate=: wants off"),
            (("serve", "--deflate=bits="), "--deflate=bits=: wants off"),
            (("connect", "--deflate=bits=16", "ws://a/"), "bits=8 to bits=15"),
            (("connect", "--deflate=on", "ws://a/"), "--deflate=on: wants off"),
            (("decode", "--deflate=yes"), "--deflate=yes: wants off"),
            (("decode", "--deflate", "--allow-rsv", "1"), "give one"),
            (("decode", "--allow-rsv", "3,1", "--deflate=bits=9"), "give one"),
        ):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
                self.assertIn("--help'", done.stderr)

    def test_decode(self):
        for text, lines in EXAMPLES:
            raw = bytes.fromhex(text)
            count = f"{len(lines)} frame{'s' if len(lines) > 1 else ''}"
            for args, stdin in (((), text), (("--raw",), raw), ((), raw)):
                with self.subTest(text=text, args=args):
                    done = run("decode", "--deflate", *args, stdin=stdin)
                    *shown, last = done.stdout.splitlines()
                    self.assertEqual([x[10:] for x in shown], lines)
                    self.assertEqual(last, f"{len(raw):8}  end: {count}, no violation")
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_decode_without_the_option(self):
        for args in ((), ("--deflate=off",), ("--deflate", "--deflate=off")):
            for text in (HELLO, "42 00"):
                done = run("decode", "--hex", *args, stdin=text)
                self.assertEqual(done.returncode, 5)
                self.assertIn("       0  violation in the frame at 0", done.stdout)
                self.assertIn("rsv1 marks a compressed message; try --deflate", done.stderr)
        # These have nothing to do with compression.
        for text in ("c9 00", "c0 00", "e1 00", "a1 00", "83 00"):
            done = run("decode", stdin=text)
            self.assertEqual((done.returncode, done.stderr), (5, ""))

    def test_decode_violations(self):
        for how, text, offset, at, words in VIOLATIONS:
            with self.subTest(how=how, text=text):
                done = run("decode", f"--deflate{how}", stdin=text)
                last = done.stdout.splitlines()[-1]
                self.assertEqual(done.returncode, 5)
                self.assertIn(f"violation in the frame at {at}: ", last)
                self.assertIn(words, last)
                if offset is not None:
                    self.assertEqual(int(last.split()[0]), offset)
                hint = "is no DEFLATE data, or refers" in done.stderr
                self.assertEqual(hint, "cannot decode" in words)

    def test_decode_shows_what_came_before_a_fault(self):
        state = compressor()
        stream = frame(1, compress(state, b"fine"), rsv=0x40)
        payload = state.compress(b"AB\xffC") + state.flush(zlib.Z_SYNC_FLUSH)
        done = run("decode", "--deflate", "--raw", stdin=stream + frame(1, payload, rsv=0x40))
        lines = done.stdout.splitlines()
        self.assertIn('inflated=4 "fine"', lines[0])
        self.assertIn('inflated=2 "AB"', lines[1])
        self.assertIn(f"violation in the frame at {len(stream)}: ", lines[2])
        self.assertIn("UTF-8", lines[2])

    def test_decode_windows(self):
        dice = random.Random(7692)
        noise = dice.randbytes(600)
        state = compressor()  # the second message refers 600 bytes back
        stream = b"".join(frame(2, compress(state, noise), rsv=0x40) for _ in range(2))
        for bits in (15, 12, 10):
            done = run("decode", "--raw", f"--deflate=bits={bits}", stdin=stream)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stdout.count(" inflated=600 "), 2)
        done = run("decode", "--raw", "--deflate=bits=9", stdin=stream)
        self.assertEqual(done.returncode, 5)
        self.assertIn("cannot decode", done.stdout)
        # Without settings, all that could be agreed upon is read.
        for bits in range(9, 16):
            done = run("decode", "--raw", "--deflate", stdin=compressed(noise * 99, bits))
            self.assertEqual(done.returncode, 0, bits)
            self.assertIn(" inflated=59400 ", done.stdout)

    def test_decode_cuts(self):
        done = run("decode", "--deflate", stdin="c1 07 f2 48 cd")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], '       0  fin rsv1 text len=7 inflated=2 "He"')
        self.assertIn("truncated: 4 bytes missing of the frame at 0", lines[1])
        self.assertEqual(done.returncode, 5)
        done = run("decode", "--deflate", stdin="41 03 f2 48 cd")
        self.assertIn("the message at 0 is not finished", done.stdout)
        self.assertEqual(done.returncode, 0)

    def test_decode_behind_the_close(self):
        stream = frame(8, close_payload(1000)) + bytes.fromhex(HELLO)
        done = run("decode", "--deflate", "--raw", stdin=stream)
        line = done.stdout.splitlines()[1]
        self.assertIn("fin rsv1 text len=7 f2 48 cd c9 c9 07 00 (behind", line)
        self.assertEqual(done.returncode, 0)

    def test_decode_shows_no_more_than_asked(self):
        stream = compressed(b"\0" * 100000) + frame(
            1, compress(compressor(), "ab€c€".encode()), rsv=0x40
        )
        for most, zeros, text in (
            ("4", ["00 00 00 00 ... (99996 more)"], '"ab" ... (7 more)'),
            ("0", [], ""),
        ):
            done = run("decode", "--raw", "--deflate", "--max-payload", most, stdin=stream)
            lines = done.stdout.splitlines()
            self.assertEqual(lines[0].split(" inflated=")[1], " ".join(["100000", *zeros]))
            self.assertEqual(lines[1].split(" inflated=")[1], f"9 {text}".strip())
            self.assertEqual(done.returncode, 0)

    def test_decode_of_an_extension_beneath(self):
        # With another extension's bit, what was inflated need not be text.
        done = run("decode", "--deflate", "--allow-rsv", "2", stdin="e1" + HELLO[2:])
        self.assertIn("fin rsv1 rsv2 text len=7 inflated=5 48 65 6c 6c 6f", done.stdout)
        self.assertEqual(done.returncode, 0)

    def stream(self):
        """Frames of many messages by one compressor, and what each message is."""
        dice = random.Random(1951)
        state, out, texts = compressor(), b"", []
        for i in range(60):
            text = "".join(dice.choice("äb€d𐍈f ") for _ in range(dice.randrange(40)))
            texts.append(text)
            mask = dice.randbytes(4)
            if i % 5 == 4:
                out += frame(1, text.encode(), mask=mask)
                continue
            rest = compress(state, text.encode())
            opcode, rsv = 1, 0x40
            while dice.random() < 0.6:
                cut = dice.randrange(len(rest) + 1)
                out += frame(opcode, rest[:cut], fin=False, mask=mask, rsv=rsv)
                out += frame(9, b"x", mask=mask) if dice.random() < 0.3 else b""
                rest, opcode, rsv = rest[cut:], 0, 0
            out += frame(opcode, rest, mask=mask, rsv=rsv)
        return out, texts

    def test_decode_a_conversation(self):
        stream, texts = self.stream()
        args = ("decode", "--raw", "--deflate", "--role", "client", "--max-payload", "999")
        whole = run(*args, stdin=stream)
        self.assertEqual((whole.returncode, whole.stderr), (0, ""))
        got, message = [], b""
        for line in whole.stdout.splitlines()[:-1]:
            if " ping " in line:
                continue
            count = int(re.findall(r" (?:inflated|len)=(\d+)", line)[-1])
            piece = (re.findall('"(.*)"$', line) or [""])[0].encode()
            # Characters that fragments cut are shown as bytes.
            piece = re.sub(
                rb"\\x(..)", lambda hit: bytes.fromhex(hit[1].decode()), piece
            )
            self.assertEqual(len(piece), count, line)
            message += piece
            if " fin " in line:
                got.append(message.decode())
                message = b""
        self.assertEqual(got, texts)
        slow = Running(self, *args)
        for byte in stream:
            slow.process.stdin.write(bytes([byte]))
        self.assertEqual(slow.end()[:2], (0, whole.stdout))

    def test_decode_garbage(self):
        dice = random.Random(7692)
        for _ in range(100):
            payload = bytearray(compress(compressor(), b"hello " * dice.randrange(50)))
            for _ in range(dice.randrange(4)):
                payload[dice.randrange(len(payload))] = dice.randrange(256)
            stream = frame(dice.choice((1, 2)), bytes(payload), rsv=0x40)
            done = run("decode", "--raw", "--deflate", stdin=stream + dice.randbytes(9))
            self.assertIn(done.returncode, (0, 5))

    def peak(self, stream):
        """Peak memory of decoding, in KiB."""
        child = subprocess.Popen(
            [NWS, "decode", "--raw", "--deflate"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        child.stdin.write(stream)
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return usage.ru_maxrss

    def test_decode_in_bounded_memory(self):
        bomb = compressed(bytes(96 << 20))
        self.assertLess(self.peak(bomb) - self.peak(compressed(bytes(1000))), 8192)


class Captured(unittest.TestCase):
    def test_capture(self):
        """What the handshake says is enough to inflate."""
        flow = capture.Flow()
        deflater = zlib.compressobj(wbits=-15)
        packets = [*flow.syn(), flow.packet(0, capture.REQUEST)]
        packets.append(
            flow.packet(1, capture.response(b"Sec-WebSocket-Extensions: permessage-deflate\r\n"))
        )
        for _ in range(2):
            data = deflater.compress(b"Hello Hello Hello") + deflater.flush(zlib.Z_SYNC_FLUSH)
            packets.append(flow.packet(0, capture.frame(0xC1, data[:-4], True)))
            packets.append(flow.packet(1, capture.frame(0x81, b"plain", False)))
        out, _ = capture.decode_file(self, capture.pcap(packets))
        self.assertIn("/chat?x=1, permessage-deflate\n", out)
        self.assertEqual(out.count('inflated=17 "Hello Hello Hello"'), 2)
        self.assertEqual(out.count('"plain"'), 2)

        out, _ = capture.decode_file(self, capture.pcap(packets), "--allow-rsv", "1")
        self.assertEqual(out.count("fin rsv1 text mask=11223344 len="), 2)
        self.assertNotIn("inflated", out)


class Bench(unittest.TestCase):
    def test_bench(self):
        server = Server(self, "--deflate")
        for option, agreed in ((["--deflate"], True), ([], False)):
            done = run("bench", "-v", "-d", "0.2", "--size", "2K", *option, server.url)
            self.assertEqual(done.returncode, 0)
            self.assertIn("0 unanswered, 0 wrong", done.stdout)
            self.assertEqual("permessage-deflate" in done.stderr, agreed)


if __name__ == "__main__":
    main()
