"""Help, version, mistakes, and the man page against the help."""

import pathlib
import re
import unittest
from cli_support import main, run

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMANDS = ("serve", "connect", "ping", "decode")


def options(text):
    """The long options that a help text describes."""
    return set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M))


class Usage(unittest.TestCase):
    def test_help(self):
        general = run("--help")
        self.assertEqual((general.returncode, general.stderr), (0, ""))
        self.assertEqual(run("help").stdout, general.stdout)
        for command in COMMANDS:
            self.assertIn(f"nws {command}", general.stdout)
            text = run("help", command)
            self.assertEqual((text.returncode, text.stderr), (0, ""))
            for flag in ("--help", "-h"):
                self.assertEqual(run(command, flag).stdout, text.stdout)
            self.assertIn("Examples", text.stdout)
            self.assertIn("Exit codes", text.stdout)
            self.assertTrue(all(len(x) <= 80 for x in text.stdout.splitlines()))

    def test_options_in_help_exist(self):
        for command in COMMANDS:
            told = options(run("help", command).stdout)
            self.assertGreater(len(told), 4)
            for name in told - {"help"}:
                # A value that none of them takes: known options say so, or go on
                # to the next complaint.
                done = run(command, f"--{name}", "\x01", "--no-such-option")
                self.assertEqual(done.returncode, 1)
                self.assertNotIn(f"unknown option '--{name}'", done.stderr)

    def test_man_page_has_all_options(self):
        page = (ROOT / "docs/man/nws.1").read_text()
        _, *parts = re.split(r"^\.Ss nws (\w+)$", page, flags=re.M)
        sections = dict(zip(parts[::2], parts[1::2]))
        self.assertEqual(tuple(sections), COMMANDS)
        shared = {"header": "H", "subprotocol": "s", "origin": "o", "timeout": "t", "verbose": "v"}
        for command, section in sections.items():
            documented = set(re.findall(r"^\.It .*?Fl -([a-z-]+)", section, re.M))
            if command == "ping":
                self.assertIn(".It Fl " + " , Fl ".join(shared.values()), section)
                documented |= set(shared)
            told = options(run("help", command).stdout) - {"help"}
            self.assertEqual(documented, told, command)

    def test_version(self):
        header = (ROOT / "include/nws/base.h").read_text()
        numbers = re.findall(r"#define NWS_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
        self.assertEqual(run("--version").stdout, f"nws {'.'.join(numbers)}\n")

    def test_mistakes(self):
        for args, words in (
            ((), "nws serve"),
            (("frobnicate",), "unknown command 'frobnicate'"),
            (("--frobnicate",), "unknown option '--frobnicate'"),
            (("help", "frobnicate"), "unknown command 'frobnicate'"),
            (("serve", "--frob"), "unknown option '--frob'"),
            (("serve", "-vZ"), "unknown option '-Z'"),
            (("serve", "--port"), "option '--port' needs a value"),
            (("serve", "--port", "65536"), "'65536' is no port"),
            (("serve", "--listen", ":80"), "ADDRESS:PORT"),
            (("serve", "extra"), "'extra'"),
            (("serve", "--quiet=1"), "takes no value"),
            (("serve", "--max-message", "-1"), "'-1' is no number of bytes"),
            (("connect",), "which URL?"),
            (("connect", "http://a/"), "ws://"),
            (("connect", "wss://a/"), "TLS"),
            (("connect", "ws://a:99999/"), "character"),
            (("connect", "ws://a/", "ws://b/"), "'ws://b/'"),
            (("connect", "--close", "1005", "ws://a/"), "--close"),
            (("connect", "--close", "1000:" + "x" * 124, "ws://a/"), "123"),
            (("connect", "-H", "no colon", "ws://a/"), "Name: value"),
            (("connect", "-H", "Host: b", "ws://127.0.0.1:9/"), "header"),
            (("ping", "-c", "0", "ws://a/"), "'0' is no count"),
            (("ping", "-i", "0.001", "ws://a/"), "'0.001'"),
            (("decode", "--role", "both"), "client, server or any"),
        ):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
                if args:
                    self.assertIn("--help'", done.stderr)

    def test_mistakes_keep_secrets(self):
        for header in ("Authorization: s3cret\x01", "Author ization: s3cret"):
            done = run("connect", "-H", header, "ws://127.0.0.1:9/")
            self.assertEqual(done.returncode, 1)
            self.assertNotIn("s3cret", done.stderr)


if __name__ == "__main__":
    main()
