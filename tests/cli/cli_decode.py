"""nws decode: examples of RFC 6455 5.7, violations, cuts, garbage, safety."""

import os
import random
import subprocess
import unittest
from cli_support import NWS, LIMIT, close_payload, frame, main, run, Running

EXAMPLES = [
    ("81 05 48 65 6c 6c 6f", 'fin text len=5 "Hello"'),
    (
        "81 85 37 fa 21 3d 7f 9f 4d 51 58",
        'fin text mask=37fa213d len=5 "Hello"',
    ),
    ("01 03 48 65 6c", '--- text len=3 "Hel"'),
    ("80 02 6c 6f", 'fin continuation len=2 "lo"'),
    ("89 05 48 65 6c 6c 6f", 'fin ping len=5 "Hello"'),
    (
        "8a 85 37 fa 21 3d 7f 9f 4d 51 58",
        'fin pong mask=37fa213d len=5 "Hello"',
    ),
    (
        "82 7e 01 00" + " 5a" * 256,
        "fin binary len=256 " + " ".join(["5a"] * 64) + " ... (192 more)",
    ),
    (
        "82 7f 00 00 00 00 00 01 00 00" + " 5a" * 65536,
        "fin binary len=65536 " + " ".join(["5a"] * 64) + " ... (65472 more)",
    ),
]

# Input, sender, offset of the violation, words that must be told.
VIOLATIONS = [
    ("c1 00", "any", 0, "RFC 6455 5.2"),
    ("83 00", "any", 0, "RFC 6455 5.2"),
    ("81 00 0b 00", "any", 2, ""),
    ("81 00", "client", 1, "RFC 6455 5.1"),
    ("81 80 01 02 03 04", "server", 1, "RFC 6455 5.1"),
    ("09 00", "any", 0, "RFC 6455 5.5"),
    ("89 7e", "any", 1, "RFC 6455 5.5"),
    ("82 7e 00 7d", "any", None, "RFC 6455 5.2"),
    ("82 7f 80", "any", 2, "RFC 6455 5.2"),
    ("80 00", "any", 0, "RFC 6455 5.4"),
    ("01 00 81 00", "any", 2, "RFC 6455 5.4"),
    ("81 05 48 65 c3 28 41", "any", 5, "close 1007"),
    ("81 01 c3", "any", None, "close 1007"),
    ("88 01 03", "any", None, "RFC 6455 5.5.1"),
    ("88 02 03 ed", "any", None, "RFC 6455 7.4"),
    ("88 03 03 e8 ff", "any", 4, "RFC 6455 5.5.1"),
    ("88 00 89 7e", "any", 3, "RFC 6455 5.5"),
]

CUTS = [
    ("81", 1, "at least 1 bytes missing"),
    ("81 05 48", 3, "4 bytes missing"),
    ("81 fe", 2, "at least 6 bytes missing"),
    ("82 7f 00 00", 4, "at least 6 bytes missing"),
    ("81 00 82 03 01", 5, "2 bytes missing"),
]


def to_bytes(text):
    return bytes.fromhex(text.replace(" ", ""))


class Decode(unittest.TestCase):
    def test_examples_in_both_forms(self):
        text = "\n".join(hexes for hexes, _ in EXAMPLES)
        raw = to_bytes(text.replace("\n", ""))
        expected, at = [], 0
        for hexes, line in EXAMPLES:
            expected.append(f"{at:8}  {line}")
            at += len(to_bytes(hexes))
        expected.append(f"{at:8}  end: 8 frames, no violation")
        for args, stdin in (((), text), (("--hex",), text), ((), raw), (("--raw",), raw)):
            done = run("decode", *args, stdin=stdin)
            self.assertEqual(done.stdout.splitlines(), expected)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_byte_by_byte(self):
        stream = frame(1, "hé€𐍈".encode(), mask=b"abcd") + frame(8, close_payload(1001, "x"))
        whole = run("decode", "--raw", stdin=stream).stdout
        slow = Running(self, "decode", "--raw")
        for byte in stream:
            slow.process.stdin.write(bytes([byte]))
        self.assertEqual(slow.end()[:2], (0, whole))
        self.assertIn('"hé€𐍈"', whole)
        self.assertIn('1001 (going away) "x"', whole)

    def test_violations(self):
        for hexes, role, offset, words in VIOLATIONS:
            with self.subTest(hexes=hexes, role=role):
                done = run("decode", "--role", role, stdin=hexes)
                last = done.stdout.splitlines()[-1]
                self.assertEqual(done.returncode, 5)
                self.assertIn("violation in the frame at ", last)
                self.assertIn(words, last)
                if offset is not None:
                    self.assertEqual(int(last.split()[0]), offset)

    def test_what_came_before_a_violation_is_shown(self):
        done = run("decode", stdin="81 02 68 69 81 04 41 42 ff 43")
        lines = done.stdout.splitlines()
        self.assertIn('"hi"', lines[0])
        # Up to the byte at fault, however much is read at once.
        self.assertIn('"AB\\xff" ... (1 more)', lines[1])
        self.assertEqual(lines[2].split()[0], "8")

    def test_cuts(self):
        for hexes, offset, words in CUTS:
            with self.subTest(hexes=hexes):
                done = run("decode", stdin=hexes)
                last = done.stdout.splitlines()[-1]
                self.assertEqual(done.returncode, 5)
                self.assertEqual(int(last.split()[0]), offset)
                self.assertIn("truncated: " + words, last)

    def test_unfinished_message_and_behind_the_close(self):
        done = run("decode", stdin="81 00 01 00")
        self.assertIn("the message at 2 is not finished", done.stdout)
        self.assertEqual(done.returncode, 0)
        done = run("decode", stdin="88 00 81 01 41")
        self.assertIn("ignored", done.stdout.splitlines()[1])

    def test_hex_forms(self):
        for text in (
            "81 02 68 69",
            "81026869",
            "0x81,0x02,0x68,0X69",
            "81:02:68:69",
            "# c0ffee\n81 02 # 00\r\n\t68 69 # end",
            "0x8102 6869",
        ):
            with self.subTest(text=text):
                self.assertIn('len=2 "hi"', run("decode", stdin=text).stdout)
        # The zero of 0x, and zeros that are none.
        self.assertIn("len=0", run("decode", stdin="81 00").stdout)

    def test_hex_faults(self):
        for text, where, words in (
            ("81 00\n 8g", "2:3", '"g": not a hex digit'),
            ("81 0", "1:5", "second digit"),
            ("8 1", "1:2", "second digit"),
            ("81 x0", "1:4", "not a hex digit"),
            ("81 0\x1b", "1:5", '"\\x1b"'),
            ("81 00 0x", "1:9", "no digits behind 0x"),
            ("0x 81 00", "1:3", "no digits behind 0x"),
            ("81 00\0", "1:6", '"\\x00": not a hex digit'),
        ):
            with self.subTest(text=text):
                done = run("decode", "--hex", stdin=text)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"standard input:{where}: ", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotIn("\x1b", done.stderr)

    def test_hints(self):
        xxd = "00000000: 8105 4865 6c6c 6f                        ..Hello\n"
        for args, stdin, words in (
            ((), "GET /chat HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP head"),
            ((), "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP head"),
            (("--hex",), "GET / HTTP/1.1\r\n", "HTTP head"),
            ((), xxd, "xxd -p"),
            (("--hex",), xxd, "xxd -p"),
        ):
            with self.subTest(args=args, stdin=stdin):
                done = run("decode", *args, stdin=stdin)
                self.assertIn(done.returncode, (1, 5))
                self.assertIn(words, done.stderr)
        # Frames that are wrong otherwise, and text that is right, get none.
        for stdin in ("83 00", "00000000", "GET", "0000000g: 8105", "81 00"):
            done = run("decode", stdin=stdin)
            self.assertNotIn("HTTP head", done.stderr)
            self.assertNotIn("xxd", done.stderr)

    def test_terminal_safety(self):
        evil = "\x1b]0;x\x07\r\n\x7f\x9b31m\u202eabc\u200b\"\\é"
        stream = frame(1, evil.encode()) + frame(9, b"\x1b[2J") + frame(2, b"\x1b[2J")
        stream += frame(8, close_payload(4000, "\x1bc\u2066"))
        done = run("decode", "--raw", stdin=stream)
        shown = done.stdout
        self.assertIn(r'"\x1b]0;x\x07\r\n\x7f\u{9b}31m\u{202e}abc\u{200b}\"\\é"', shown)
        self.assertIn(r'4000 "\x1bc\u{2066}"', shown)
        self.assertIn("1b 5b 32 4a", shown)
        self.check_printable(shown)

    def check_printable(self, text):
        for c in text.replace("\n", ""):
            self.assertTrue(c >= " " and not 0x7F <= ord(c) <= 0x9F, repr(c))

    def test_garbage(self):
        dice = random.Random(6455)
        for _ in range(100):
            stream = dice.randbytes(dice.randrange(300))
            if dice.random() < 0.7:  # get past the first header
                stream = frame(dice.choice((1, 2, 9)), dice.randbytes(20)) + stream
            for form in ("--raw", "--hex"):
                done = run("decode", form, stdin=stream)
                self.assertIn(done.returncode, (0, 5) if form == "--raw" else (0, 1, 5))
                self.check_printable(done.stdout)
                self.check_printable(done.stderr)

    def test_cut_characters_in_the_preview(self):
        done = run("decode", "--raw", "--max-payload", "4", stdin=frame(1, "ab€c€".encode()))
        self.assertIn('len=9 "ab" ... (7 more)', done.stdout)
        done = run("decode", "--raw", "--max-payload", "0", stdin=frame(2, b"12345"))
        self.assertIn("fin binary len=5\n", done.stdout)

    def test_reserved_bits(self):
        stream = frame(1, b"\xaa\x00", rsv=0x40) + frame(1, b"A")
        self.assertEqual(run("decode", "--raw", stdin=stream).returncode, 5)
        done = run("decode", "--raw", "--allow-rsv", "1", stdin=stream)
        self.assertIn("fin rsv1 text len=2 aa 00", done.stdout)
        self.assertEqual(done.returncode, 0)

    def peak(self, stream_mib):
        """Peak memory of decoding one frame of so many MiB, in KiB."""
        chunk = bytes(1 << 20)
        child = subprocess.Popen(
            [NWS, "decode", "--raw"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        child.stdin.write(b"\x82\x7f" + (stream_mib << 20).to_bytes(8, "big"))
        for _ in range(stream_mib):
            child.stdin.write(chunk)
        child.stdin.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return usage.ru_maxrss

    def test_memory_is_bounded(self):
        self.assertLess(self.peak(96) - self.peak(1), 8192)

    def test_files_and_output(self):
        done = run("decode", "/nowhere/at/all")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/at/all", done.stderr)
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [NWS, "decode"], input=b"8100", stdout=full, stderr=subprocess.PIPE,
                timeout=LIMIT,
            )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output", done.stderr)

    def test_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [NWS, "decode"], input=b"8100", stdout=writer, stderr=subprocess.PIPE,
            timeout=LIMIT,
        )  # fmt: skip
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    main()
