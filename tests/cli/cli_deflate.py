"""Compression in nws serve and connect: the option --deflate."""

import unittest
import zlib
from cli_support import FakeServer, Server, dial, main, run


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

    def test_mistakes(self):
        for args, words in (
            (("serve", "--deflate=bits=7"), "--deflate=bits=7: wants off"),
            (("serve", "--deflate="), "--deflate=: wants off"),
            (("serve", "--deflate=bits="), "--deflate=bits=: wants off"),
            (("connect", "--deflate=bits=16", "ws://a/"), "bits=8 to bits=15"),
            (("connect", "--deflate=on", "ws://a/"), "--deflate=on: wants off"),
        ):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
                self.assertIn("--help'", done.stderr)


if __name__ == "__main__":
    main()
