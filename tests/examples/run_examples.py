"""Every example runs, and does what its first comment says.

    run_examples.py EXAMPLES BIN    the folder of their sources, and that of the
                                    programs

The two testees are run by the tests in tests/interop, and only looked for here.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import cases  # noqa: E402
import interop  # noqa: E402
import wire  # noqa: E402
from interop import check, equal  # noqa: E402

# Cases that need more than the default limits.
LARGE = ("message of 16 MiB", "in fragments of (4194304", "in fragments of (16777216")


def try_echo_server(program):
    with interop.Program(program, "0") as server:
        port = server.port()
        end = wire.connect(port)
        other = wire.connect(port)
        for text in (b"one", b"", "größer".encode()):
            cases.say(end, text)
            cases.say(other, text)
        cases.ping_with_payload(end, b"there?")
        cases.end_well(end)
        other.send(wire.TEXT, b"\xff")
        other.expect_close(1007)
        other.expect_end()
        check(True, "echo_server answers two clients")


def try_client(program):
    server = os.path.join(os.path.dirname(program), "echo_server")
    with interop.Program(server, "0") as running:
        url = f"ws://127.0.0.1:{running.port()}/"
        code, lines, said = interop.run_program(program, url, "größer")
        equal((code, lines), (0, ["größer"]), f"client: {said.strip()}")
    code, lines, said = interop.run_program(program, url, "gone")
    check(code == 1 and not lines and said, f"client, nobody there: {said.strip()}")
    code, lines, said = interop.run_program(program, "http://127.0.0.1/", "x")
    check(code == 1 and not lines and said, f"client, no ws: {said.strip()}")


def run_bare_engine(program, talk):
    """Starts it, talks to it, and gives its exit code and last line."""
    with interop.Program(program, "0") as server:
        talk(server.port())
        last = server.line()
        return server.wait(), last


def try_case(program, name, function):
    faults = []

    def talk(port):
        end = wire.connect(port)
        end.echoes_pieces = True
        faults.append(cases.try_case(end, function))

    run_bare_engine(program, talk)
    told = f": {faults[0]}" if faults[0] else ""
    check(faults == [None], f"bare_engine: {name}{told}")


def frames_behind_the_request(port):
    sock = wire.dial(port)
    early = b"early " * 1000
    sock.sendall(wire.request(port) + wire.encode(wire.TEXT, early))
    end = wire.Wire(sock, True, wire.read_head(sock)[1])
    end.expect(wire.TEXT, early)
    cases.end_well(end)
    end.close()


def bad_request(port):
    sock = wire.dial(port)
    sock.sendall(wire.request(port, Sec_WebSocket_Version="7"))
    lines, _ = wire.read_head(sock)
    check(" 426 " in lines[0], f"bare_engine answers version 7 with {lines[0]}")
    sock.close()


def sudden_end(port):
    end = wire.connect(port)
    end.send(wire.TEXT, b"half", fin=False)
    equal(end.hear(), (wire.TEXT, 0, b"half"), "bare_engine sends a piece back")
    end.close()


def try_bare_engine(program):
    code, last = run_bare_engine(program, frames_behind_the_request)
    equal((code, last), (0, "closed with 1000: no error"), "bare_engine")
    code, last = run_bare_engine(program, bad_request)
    check(code == 1, f"bare_engine: {code} {last}")
    code, last = run_bare_engine(program, sudden_end)
    check(code == 1, f"bare_engine: {code} {last}")
    for name, function, _ in cases.CASES:
        if not name.startswith(LARGE):
            try_case(program, name, function)


def try_pipe(program):
    code, lines, said = interop.run_program(program)
    equal((code, lines, said), (0, ["WHO IS THERE?"], ""), "pipe")


def try_callbacks(program):
    code, lines, said = interop.run_program(program)
    expected = [
        'server: message "Hello, world"',
        'client: pong "are you there"',
        'client: message "Hello, world"',
        'server: closed 1000 "bye"',
        'client: closed 1000 ""',
    ]
    equal((code, lines, said), (0, expected, ""), "callbacks")


def try_chat(program):
    with interop.Program(program, "0") as server:
        port = server.port()
        ann, ben, cat = (wire.connect(port, "/kitchen") for _ in range(3))
        dan = wire.connect(port, "/attic")
        ann.send(wire.TEXT, b"tea?")
        ben.expect(wire.TEXT, b"tea?")
        cat.expect(wire.TEXT, b"tea?")
        cat.close()
        ben.send(wire.BINARY, bytes(3000))
        ann.expect(wire.BINARY, bytes(3000))  # and not what it said itself
        dan.send(wire.TEXT, b"alone?")
        cases.end_well(dan)  # nothing of all that was said to it
        long = wire.connect(port, "/" + "x" * 255)
        long.expect_close(1008)
        cases.end_well(ann)
        cases.end_well(ben)
        check(True, "chat keeps to its rooms")


TRIES = {
    "bare_engine": try_bare_engine,
    "callbacks": try_callbacks,
    "chat": try_chat,
    "client": try_client,
    "echo_server": try_echo_server,
    "pipe": try_pipe,
}
TESTEES = ["testee_client", "testee_server"]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    interop.limit_time(150)
    sources = sorted(path.stem for path in pathlib.Path(sys.argv[1]).glob("*.c"))
    equal(sources, sorted([*TRIES, *TESTEES]), "examples")
    for name, attempt in TRIES.items():
        attempt(os.path.join(sys.argv[2], name))
    for name in TESTEES:
        check(os.access(os.path.join(sys.argv[2], name), os.X_OK), f"{name} is built")
    interop.finish()


if __name__ == "__main__":
    main()
