"""What the interoperability tests share: checks that are told and counted,
programs that are started and surely ended, and a limit in time for everything.
"""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
# How long to wait for a single thing; generous, for sanitizers and busy machines.
PATIENCE = 30

# What the tests of sizes try: both sides of each border between the forms of a
# length (RFC 6455 5.2), and some that no single read or write can hold.
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20, 16 << 20]
CLOSES = [(1000, "done"), (1001, ""), (3000, "reason"), (4999, "größer")]
# The same for peers that are not written in Python.
TOLD = {
    "INTEROP_SIZES": ",".join(str(size) for size in SIZES),
    "INTEROP_CLOSES": ",".join(f"{code}:{reason}" for code, reason in CLOSES),
}

failures = []
passes = 0


def check(good, what):
    """Tells the outcome of one check, and remembers it."""
    global passes
    if good:
        passes += 1
        print(f"ok: {what}", flush=True)
    else:
        failures.append(what)
        print(f"FAILED: {what}", flush=True)
    return bool(good)


def equal(found, expected, what):
    told = f"{what}: {found!r}"
    if found != expected:
        told += f" and not {expected!r}"
    return check(found == expected, told)


def finish():
    """The end of every script: failed when anything did, or nothing was tried."""
    print(f"{passes} passed, {len(failures)} failed")
    sys.exit(1 if failures or not passes else 0)


def limit_time(seconds):
    """Makes the script fail, and end what it started, when it takes too long."""

    def ring(number, frame):
        raise TimeoutError(f"not done within {seconds} s")

    signal.signal(signal.SIGALRM, ring)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    signal.alarm(seconds)


class Program:
    """A program under way; at the end of its `with` it is over for sure.

    Its standard output is read line by line; what it says on standard error goes
    to a file, and is shown when a check wants it.
    """

    def __init__(self, *command, home=None):
        self.command = [str(part) for part in command]
        # Chromium leaves its socket's folder behind in the temporary folder.
        own = {"HOME": home, "TMPDIR": home} if home else {}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
            env={**os.environ, **TOLD, **own},
        )
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self, patience=PATIENCE):
        """The next line of its output; None at the end."""
        try:
            return self.lines.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"{self.command[0]} says nothing") from None

    def expect(self, pattern):
        """Skips lines until one matches; gives the match."""
        seen = []
        while True:
            line = self.line()
            if line is None:
                raise EOFError(
                    f"{self.command[0]}: no /{pattern}/ in {seen}: {self.said()}"
                )
            match = re.search(pattern, line)
            if match:
                return match
            seen.append(line)

    def port(self):
        """The port in its first line about one."""
        return int(self.expect(r"(?i)listening on .*:(\d+)").group(1))

    def said(self):
        """What it wrote to standard error so far."""
        self.errors.seek(0)
        return self.errors.read()

    def end_input(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        """Its exit code; 128 and more means a signal ended it."""
        code = self.process.wait(PATIENCE)
        said = self.said()
        if "Sanitizer" in said or "runtime error:" in said:
            check(False, f"{self.command[0]}: {said}")
        return code if code >= 0 else 128 - code

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        # The group is the program's own, so this ends what it started, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.end_input()
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        self.errors.close()


def stop_well(program, what):
    """Ends a server with SIGTERM, and checks that it ends in good order."""
    program.signal()
    code = program.wait()
    check(code == 0, f"{what} stops at SIGTERM (exit code {code}) {program.said()}")


def run_program(*command, input=""):
    """Runs a program to its end; gives its exit code and both outputs."""
    with Program(*command) as program:
        try:
            program.process.stdin.write(input)
        except BrokenPipeError:
            pass
        program.end_input()
        lines = []
        while (line := program.line()) is not None:
            lines.append(line)
        return program.wait(), lines, program.said()
