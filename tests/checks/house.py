"""What the checks share: where things are, and how a finding is told.

A check is a function from the root of a tree to a list of findings, each a line
of text. Run as a program it looks at the given root; before that it tries
itself on a small tree with known faults, so that a check that has gone blind
fails too.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = {".git", ".cache", "build", "node_modules", "__pycache__"}

CORE_FOLDERS = ["src/codec", "src/proto"]

# The headers of the layers above the core; all others are the core's.
NET_HEADERS = {
    "client.h",
    "forwarded.h",
    "hub.h",
    "listener.h",
    "log.h",
    "net.h",
    "reconnect.h",
    "remote.h",
    "stats.h",
    "sync.h",
    "tls.h",
}
DEFLATE_HEADERS = {"deflate.h"}
ABOVE_CORE = NET_HEADERS | DEFLATE_HEADERS


def files(root, *suffixes, below="."):
    """The project's own files below a folder, in a stable order."""
    found = []
    pending = [pathlib.Path(root, below)]
    while pending:
        folder = pending.pop()
        for path in folder.iterdir() if folder.is_dir() else []:
            if path.name in SKIPPED:
                continue  # also where it is a link to somewhere else
            if path.is_dir() and not path.is_symlink():
                pending.append(path)
            elif not suffixes or path.suffix in suffixes:
                found.append(path)
    return sorted(found)


def core_sources(root):
    return [p for f in CORE_FOLDERS for p in files(root, ".c", below=f)]


def public_headers(root):
    return files(root, ".h", below="include/nws")


def core_headers(root):
    return [p for p in public_headers(root) if p.name not in ABOVE_CORE]


def name(root, path):
    return str(pathlib.Path(path).relative_to(root))


def without_comments(text):
    """C text with comments, strings and characters blanked, lines kept."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'", re.S
    )

    def blank(match):
        found = match.group()
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return token.sub(blank, text)


def need(*names):
    """The programs, all of which must be installed: what cannot be looked at has
    not passed."""
    for name in names:
        if not shutil.which(name):
            sys.exit(f"{sys.argv[0]}: {name} is not installed")
    return list(names)


def compilers():
    """The C compilers that everything must please."""
    return need("gcc", "clang")


def run(command, **options):
    """Runs a command; gives its exit code, and all it said."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    return done.returncode, done.stdout


def plant(root, tree):
    """Writes a small tree of {path: text} for a check to try itself on."""
    for path, text in tree.items():
        target = pathlib.Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def try_on(check, tree, *expected):
    """Fails unless `check` finds in `tree` the expected faults and no others,
    each told in a line that holds the expected words."""
    with tempfile.TemporaryDirectory() as root:
        plant(root, tree)
        findings = check(pathlib.Path(root))
    told = "\n".join(findings)
    missed = [w for w in expected if not any(w in f for f in findings)]
    if missed or len(findings) != len(expected):
        sys.exit(
            f"{sys.argv[0]}: does not work: of {list(expected)} it misses "
            f"{missed}; it says:\n{told}"
        )


def try_files():
    """Fails unless files() passes by what others made, links included."""
    with tempfile.TemporaryDirectory() as root:
        plant(root, {"src/a.c": "", "build/b.c": "", "elsewhere/c.c": ""})
        pathlib.Path(root, "src/node_modules").symlink_to("../elsewhere")
        pathlib.Path(root, "src/kept.c").symlink_to("a.c")
        found = [name(root, path) for path in files(root, below="src")]
        found += [name(root, path) for path in files(root, below=".")]
    expected = ["src/a.c", "src/kept.c"]
    if found != [*expected, "elsewhere/c.c", *expected]:
        sys.exit(f"{sys.argv[0]}: does not work: finds the files {found}")


def main(check, self_test):
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} root-of-the-tree")
    try_files()
    self_test()
    findings = check(pathlib.Path(sys.argv[1]).resolve())
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)
