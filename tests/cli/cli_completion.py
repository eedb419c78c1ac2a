"""nws completion: what bash, zsh and fish complete, held against the help."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from cli_support import LIMIT, main, run


def commands():
    """Those that the help of the program lists."""
    return re.findall(r"^  nws (\w+) ", run("--help").stdout, re.M)


def options(command):
    """The options that a command's help describes, long and short ones."""
    found = set()
    for short, long in re.findall(
        r"^ +(?:(-\w), )?(--[a-z-]+)", run(command, "--help").stdout, re.M
    ):
        found |= {short, long} - {""}
    return found


def shell(name, *args, **options):
    path = shutil.which(name)
    if not path:
        raise RuntimeError(f"there is no {name}; ./dev setup installs it")
    done = subprocess.run(
        [path, *args], capture_output=True, text=True, timeout=LIMIT, **options
    )
    assert done.stderr == "", done.stderr
    return done.stdout.split("\n")[:-1]


def script(name):
    done = run("completion", name)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Bash:
    """Completes the last of some words as bash would."""

    def __call__(self, *words):
        array = " ".join(f"'{x}'" for x in words)
        code = (
            f"{script('bash')}\nCOMP_WORDS=({array}); COMP_CWORD={len(words) - 1}\n"
            "_nws\nfor word in \"${COMPREPLY[@]}\"; do printf '%s\\n' \"$word\"; done\n"
            "complete -p nws >/dev/null"
        )
        return set(shell("bash", "--norc", "-c", code))


class Zsh:
    """The same in zsh, whose own functions stand aside: they want a terminal."""

    def __call__(self, *words):
        array = " ".join(f"'{x}'" for x in words)
        code = (
            "compdef() { [[ $* == '_nws nws' ]] || echo wrong >&2 }\n"
            "compadd() { shift; local x; for x; do [[ $x == $cur* ]] && print -r -- $x; done; true }\n"
            "_files() { print FILES }\n"
            f"{script('zsh')}\nwords=({array}); CURRENT={len(words)}\n_nws || true\n"
        )
        return set(shell("zsh", "-f", "-c", code))


class Fish:
    def __call__(self, *words):
        with tempfile.TemporaryDirectory() as home:
            places = {x: home for x in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
            line = " ".join(words)
            code = f"complete -e nws\n{script('fish')}\ncomplete -C '{line}'\n"
            lines = shell("fish", "-c", code, env={**os.environ, **places}, cwd=home)
        return {x.split("\t")[0] for x in lines}


class Completion(unittest.TestCase):
    def test_every_option_of_the_help(self):
        names = [x for x in commands() if x != "help"]
        self.assertGreater(len(names), 6)
        for complete in (Bash(), Zsh(), Fish()):
            for command in names:
                with self.subTest(shell=type(complete).__name__, command=command):
                    long = {x for x in options(command) if x.startswith("--")}
                    got = {x.rstrip("=") for x in complete("nws", command, "--")}
                    self.assertEqual(got, long)
                    got = {x.rstrip("=") for x in complete("nws", command, "-")}
                    self.assertGreaterEqual(got, options(command) - long)

    def test_some_of_them(self):
        for complete in (Bash(), Zsh(), Fish()):
            self.assertEqual(complete("nws", "ping", "--int"), {"--interval"})
            self.assertEqual(complete("nws", "ping", "--nothing"), set())

    def test_commands(self):
        for complete in (Bash(), Zsh(), Fish()):
            self.assertEqual(set(commands()) - complete("nws", ""), set())
            self.assertEqual(complete("nws", "de"), {"decode"})
            self.assertEqual(complete("nws", "help", "de"), {"decode"})
            self.assertEqual(complete("nws", "completion", "f"), {"fish"})

    def test_values(self):
        for complete in (Bash(), Zsh(), Fish()):
            got = complete("nws", "decode", "--role", "")
            self.assertEqual(got, {"client", "server", "any"})
            # What only the user can know.
            self.assertEqual(complete("nws", "ping", "--count", ""), set())
        self.assertEqual(Zsh()("nws", "ping", "--ca", ""), {"FILES"})


if __name__ == "__main__":
    main()
