"""Help, version, mistakes, and the man page against the help."""

import pathlib
import re
import unittest
from cli_support import main, run

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMANDS = ("serve", "connect", "ping", "decode", "bench", "record", "replay", "completion")


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

    def test_exit_codes_are_those_of_the_command(self):
        page = (ROOT / "docs/man/nws.1").read_text()
        status = page.split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
        every = set(re.findall(r"^\.It (\d)$", status, re.M))
        for command, codes in (
            (None, every), ("serve", set("012")), ("connect", every),
            ("ping", every), ("decode", set("015")),
            ("bench", every), ("record", every), ("replay", every),
            ("completion", set("01")),
        ):  # fmt: skip
            text = run("help", *([command] if command else [])).stdout
            told = re.findall(r"^  (\d)  ", text.split("\nExit codes\n")[1], re.M)
            self.assertEqual(told, sorted(codes), command)

    def test_options_in_help_exist(self):
        for command in COMMANDS:
            told = options(run("help", command).stdout)
            self.assertGreater(len(told), 0 if command == "completion" else 4)
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
        shared = {
            "header": "H", "subprotocol": "s", "origin": "o", "timeout": "t",
            "verbose": "v", "insecure": "k",
        }  # fmt: skip
        long = ("ca", "cert", "key", "pin", "auth", "bearer")
        for command, section in sections.items():
            documented = set(re.findall(r"^\.It .*?Fl -([a-z-]+)", section, re.M))
            if command in ("ping", "bench", "record", "replay"):
                own = documented & {"verbose"}  # where it means something else
                if command == "record":
                    own.add("subprotocol")  # which it does not have
                taken = {name: x for name, x in shared.items() if name not in own}
                self.assertIn(".It Fl " + " , Fl ".join(taken.values()) + "\n", section)
                self.assertIn(".It Fl -" + " , Fl -".join(long), section)
                documented |= {*taken, *long}
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
            (("serve", "--listen", ":80"), "use --port 80"),
            (("serve", "--listen", "9000"), "use --port 9000"),
            (("serve", "--listen", "::1:9000"), "write [::1]:9000, or [::1:9000]"),
            (("serve", "--listen", ":::9000"), "write [::]:9000"),
            (("serve", "--listen", "foo"), "'foo' is no numeric address"),
            (("serve", "--listen", "example.com:80"), "'example.com' is no numeric"),
            (("serve", "--listen", "300.1.1.1:80"), "'300.1.1.1' is no numeric"),
            (("serve", "--listen", "[::1"), "ADDRESS:PORT"),
            (("serve", "--origin", ""), "--origin wants same-host, any, or"),
            (("serve", "--origin", " , "), "--origin wants same-host, any, or"),
            (("serve", "--origin", "example.org"), "'example.org' is no origin"),
            (("serve", "--origin", "https://a.test/"), "'https://a.test/' is no origin"),
            (("serve", "--origin", "https://a.test,x"), "'x' is no origin"),
            (("serve", "--origin", "https://u@a.test"), "is no origin"),
            (("serve", "--origin", "https://"), "'https://' is no origin"),
            (("serve", "--origin", "1s://a.test"), "is no origin"),
            (("serve", "--origin", "https://a.test:x"), "is no origin"),
            (("serve", "--origin", "any,https://a.test"), "'any' is no origin"),
            (("serve", "-q", "-v"), "--quiet and --verbose exclude each other"),
            (("serve", "extra"), "'extra'"),
            (("serve", "--quiet=1"), "takes no value"),
            (("serve", "--max-message", "-1"), "'-1' is no number of bytes"),
            (("connect",), "which URL?"),
            (("connect", "a:80"), "must begin with ws://"),
            (("connect", "http://a/"), "write ws:// instead"),
            (("connect", "HTTPS://a/"), "write wss:// instead"),
            (("connect", "ws://u:pw@a/"), "--auth USER:PASSWORD"),
            (("ping", "ws://u@a/"), "--auth USER:PASSWORD"),
            (("connect", "ws://a:99999/"), "character"),
            (("connect", "ws://a/", "ws://b/"), "'ws://b/'"),
            (("connect", "--close", "1005", "ws://a/"), "--close"),
            (("connect", "--close", "1000:" + "x" * 124, "ws://a/"), "123"),
            (("connect", "-H", "no colon", "ws://a/"), "Name: value"),
            (("connect", "-H", "Host: b"), "the handshake sets 'Host' itself"),
            (("connect", "-H", "origin: b"), "'origin' itself, --header cannot; use --origin"),
            (("connect", "-H", "Sec-WebSocket-Protocol: b"), "use --subprotocol"),
            (("connect", "-H", "Sec-WebSocket-Key: b"), "'Sec-WebSocket-Key'"),
            (("connect", "-o", ""), "--origin is empty"),
            (("connect", "-o", "a b"), "--origin"),
            (("connect", "-s", "a", "-s", "b", "-s", "a"), "'a' is offered twice"),
            (("connect", "-n", "-w", "3", "ws://a/"), "--stay and --wait exclude"),
            (("connect", "-c", "0"), "'0' is no count"),
            (("connect", "-c", "1", "-n", "ws://a/"), "excludes --stay"),
            (("connect", "--exec", "cat", "-m", "x", "ws://a/"), "--exec excludes"),
            (("serve", "--exec", "cat", "--echo"), "--exec and --echo exclude"),
            (("serve", "--max-processes", "3"), "go with --exec"),
            (("serve", "--exec", "cat", "--max-processes", "0"), "'0' is no count"),
            (("serve", "--exec", "cat", "--null", "--length-prefixed"), "exclude each"),
            (("serve", "--to", "localhost"), "--to wants HOST:PORT"),
            (("serve", "--to", "::1:80"), "--to wants HOST:PORT"),
            (("serve", "--to", "a:0"), "--to wants HOST:PORT"),
            (("serve", "--to", "unix:"), "--to wants HOST:PORT"),
            (("connect", "--tcp-listen", "127.0.0.1"), "wants a port"),
            (("connect", "--tcp-listen", "1", "-m", "x", "ws://a/"), "no other option"),
            (("serve", "--listen", "unix:"), "wants a path"),
            (("serve", "--listen", "fd:x"), "'fd:x' is no descriptor"),
            (("serve", "--broadcast", "--to", "a:1"), "--broadcast and --to exclude"),
            (("connect", "--null", "--raw"), "exclude each other"),
            (("connect", "--auth", "anna"), "USER:PASSWORD"),
            (("connect", "--bearer", ""), "empty"),
            (("connect", "--bearer", "@/nowhere"), "cannot read the file"),
            (("connect", "--bearer", "$NWS_NO_SUCH"), "'NWS_NO_SUCH'"),
            (("connect", "--bearer", "a", "--auth", "a:b"), "one Authorization"),
            (("connect", "--bearer", "a", "-H", "authorization: b"), "one Authorization"),
            (("ping", "-W", "nan"), "'nan'"),
            (("ping", "-c", "0", "ws://a/"), "'0' is no count"),
            (("ping", "-i", "0.001", "ws://a/"), "'0.001'"),
            (("bench", "-c", "0", "ws://a/"), "'0' is no number of connections"),
            (("bench", "-r", "1e3", "ws://a/"), "'1e3' is no number of messages a"),
            (("bench", "-r", "1", "--in-flight", "1", "ws://a/"), "exclude each other"),
            (("bench", "--threads", "2", "ws://a/"), "2 threads for 1 connection;"),
            (("bench", "--size", "2-1", "ws://a/"), "'2-1' is no size"),
            (("bench", "--size", "0", "ws://a/"), "'0' is no size"),
            (("bench", "--size", "1-2-3", "ws://a/"), "'1-2-3' is no size"),
            (("bench", "--size", "65M", "ws://a/"), "'65M' is no size"),
            (("bench", "--size", "none", "ws://a/"), "'none' is no size"),
            (("bench", "-d", "0", "ws://a/"), "--duration must be above 0"),
            (("bench", "--ramp", "x", "ws://a/"), "'x' is no number of seconds"),
            (("record", "ws://a/"), "two words behind the options: URL FILE"),
            (("record", "-s", "a", "ws://a/", "x"), "unknown option '-s'"),
            (("record", "-p", "65536", "ws://a/", "x"), "'65536' is no port"),
            (("replay", "ws://a/"), "two words behind the options: FILE URL"),
            (("replay", "--speed", "0", "x", "ws://a/"), "'0' is no speed"),
            (("replay", "--speed", "1x", "x", "ws://a/"), "'1x' is no speed"),
            (("completion",), "which shell? bash, zsh or fish"),
            (("completion", "tcsh"), "which shell? bash, zsh or fish"),
            (("decode", "--role", "both"), "client, server or any"),
            (("decode", "--hex", "--raw"), "--hex and --raw exclude each other"),
            (("decode", "--raw", "--hex"), "--hex and --raw exclude each other"),
            (("decode", "--allow-rsv", ""), "'' is no reserved bit"),
            (("decode", "--allow-rsv", ","), "',' is no reserved bit"),
            (("decode", "--allow-rsv", "14"), "'14' is no reserved bit"),
        ):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(words, done.stderr)
                if args:
                    self.assertIn("--help'", done.stderr)

    def test_seconds(self):
        for option in ("--timeout", "--wait", "--ping-interval"):
            for text in ("0x1", "0x1p3", "nan", "inf", "1e3", "", ".", "1.2.3", "-1", " 1"):
                done = run("connect", option, text, "ws://127.0.0.1:9/")
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"'{text}' is no number of seconds", done.stderr)
            # These are fine, and only the URL is missing.
            for text in ("0", "1", "0.5", ".5", "2."):
                self.assertIn("which URL?", run("connect", option, text).stderr)

    def test_repeated_options_that_agree(self):
        for args in (("decode", "--hex", "--hex"), ("decode", "--raw", "--raw")):
            self.assertEqual(run(*args).returncode, 0)

    def test_mistakes_keep_secrets(self):
        for header in (
            "Authorization: s3cret\x01", "Author ization: s3cret", "Host: s3cret",
        ):  # fmt: skip
            done = run("connect", "-H", header, "ws://127.0.0.1:9/")
            self.assertEqual(done.returncode, 1)
            self.assertNotIn("s3cret", done.stderr)
        self.assertNotIn("s3cret", run("connect", "ws://u:s3cret@127.0.0.1:9/").stderr)


if __name__ == "__main__":
    main()
