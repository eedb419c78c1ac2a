"""Conformance, judged by hand-written frames (cases.py).

    conformance.py server COMMAND...   judges an echo server that tells its port
    conformance.py client COMMAND...   is the test server for an echo client:
                                       the URL is added to the command
    conformance.py itself              judges an echo that lets everything pass:
                                       every case that breaks a rule must notice

Servers must take messages of 16 MiB in fragments of any number.
"""

import socket
import sys
import threading
import urllib.parse
import cases
import interop
import wire

AGENT = "a b/&c"


def judge_server(command):
    with interop.Program(*command) as server:
        port = server.port()
        for number, (name, function, _) in enumerate(cases.CASES, 1):
            try:
                fault = cases.try_case(wire.connect(port), function)
            except (wire.Broken, OSError) as error:
                fault = f"cannot connect: {error}"
            told = f"{number} {name}" + (f": {fault}" if fault else "")
            interop.check(fault is None, told)
        interop.stop_well(server, "the server")


class TestServer:
    """getCaseCount, runCase and updateReports, one connection at a time."""

    def __init__(self):
        self.listener, self.port = wire.listen()
        self.faults = {}
        self.done = False

    def serve_one(self):
        sock, _ = self.listener.accept()
        target, found, _ = wire.read_request(sock)
        sock.sendall(wire.response(found))
        url = urllib.parse.urlsplit(target)
        asked = urllib.parse.parse_qs(url.query)
        end = wire.Wire(sock, False)
        if url.path == "/suite/runCase":
            self.run_case(end, int(asked["case"][0]), asked["agent"][0])
        elif url.path == "/suite/getCaseCount":
            end.send(wire.TEXT, b"%d" % len(cases.CASES))
            self.close(end)
        elif url.path == "/suite/updateReports" and asked["agent"] == [AGENT]:
            self.close(end)
            self.done = True
        else:
            raise wire.Broken(f"asks for {target}")

    def run_case(self, end, number, agent):
        name, function, _ = cases.CASES[number - 1]
        fault = cases.try_case(end, function)
        if agent != AGENT:
            fault = f"the agent is called {agent!r}"
        interop.check(number not in self.faults, f"{number} is asked for once")
        self.faults[number] = fault
        told = f"{number} {name}" + (f": {fault}" if fault else "")
        interop.check(fault is None, told)

    def close(self, end):
        end.send(wire.CLOSE, b"\x03\xe8")
        end.expect_close(1000)
        end.close()


def judge_client(command):
    server = TestServer()
    url = f"ws://127.0.0.1:{server.port}/suite/"
    with interop.Program(*command, url, "--agent", AGENT) as client:
        while not server.done:
            server.serve_one()
        code = client.wait()
        interop.check(code == 0, f"the client's exit code {code} {client.said()}")
    interop.equal(len(server.faults), len(cases.CASES), "cases that were run")


def echo_anything(end):
    """Knows the form of frames and no rule."""
    message = bytearray()
    first = wire.TEXT
    while True:
        head, length = end.take(2)
        opcode = head & 15
        length = length & 127
        if length > 125:
            length = int.from_bytes(end.take(2 if length == 126 else 8), "big")
        key = end.take(4)
        payload = wire.xor(end.take(length % (1 << 63)), key)
        if opcode == wire.PING:
            end.send(wire.PONG, payload[:125])
        elif opcode == wire.CLOSE:
            end.send(wire.CLOSE, payload[:2])
            return
        elif opcode != wire.PONG:
            first = opcode or first
            message += payload
            if head & 0x80:
                end.send(first, bytes(message))
                message.clear()


class Pair:
    """What joins two ends within this process. It knows when both wait for each
    other, so that nobody has to wait in order to find that out."""

    def __init__(self):
        self.changed = threading.Condition()
        self.stalled = False
        self.ends = [PairEnd(self), PairEnd(self)]
        self.ends[0].other, self.ends[1].other = self.ends[1], self.ends[0]


class PairEnd:
    """As much of a socket as a Wire uses."""

    family = socket.AF_UNIX

    def __init__(self, pair):
        self.pair = pair
        self.arrived = bytearray()
        self.waits = False
        self.closed = False

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        with self.pair.changed:
            if self.other.closed:
                raise BrokenPipeError("the other end is closed")
            self.other.arrived += data
            self.pair.changed.notify_all()

    def starves(self):
        return self.waits and not self.arrived and not self.other.closed

    def recv(self, count):
        with self.pair.changed:
            self.waits = True
            if self.starves() and self.other.starves():
                self.pair.stalled = True
                self.pair.changed.notify_all()
            self.pair.changed.wait_for(lambda: self.pair.stalled or not self.starves())
            self.waits = False
            if self.pair.stalled:
                raise TimeoutError("both ends wait for the other")
            taken = bytes(self.arrived[:count])
            del self.arrived[:count]
            return taken

    def close(self):
        with self.pair.changed:
            self.closed = True
            self.pair.changed.notify_all()


def echo_until_it_ends(sock):
    end = wire.Wire(sock, False)
    try:
        echo_anything(end)
    except (wire.Broken, OSError):
        pass
    finally:
        end.close()


def judge_itself(command):
    for name, function, wrong in cases.CASES:
        ours, theirs = Pair().ends
        echo = threading.Thread(target=echo_until_it_ends, args=[theirs])
        echo.start()
        fault = cases.try_case(wire.Wire(ours, True), function)
        echo.join()
        told = f": {fault}" if fault else ""
        interop.equal(fault is not None, wrong, f"{name}: fails{told}")


def main():
    judges = {"server": judge_server, "client": judge_client, "itself": judge_itself}
    if len(sys.argv) < 2 or sys.argv[1] not in judges:
        sys.exit(__doc__)
    interop.limit_time(280)
    judges[sys.argv[1]](sys.argv[2:])
    interop.finish()


if __name__ == "__main__":
    main()
