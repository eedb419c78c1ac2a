"""The limits that protect a server, from outside: what is just allowed comes
back, what goes beyond is refused as soon as it is announced.

    limits.py TESTEE_SERVER NWS     the latter shows the defaults
"""

import sys
import cases
import interop
import wire

MIB = 1 << 20


def whole(end, size):
    cases.say(end, b"*" * size)


def header_only(end, size):
    """Nothing but the header of a frame that would be too long."""
    header = end.frame(wire.BINARY, b"", length=size)
    end.raw(header)
    end.expect_close(1009)


def second_header_only(end, size):
    end.send(wire.BINARY, b"*" * (size - 100), fin=False)
    end.raw(end.frame(wire.CONTINUATION, b"", length=100))
    end.expect_close(1009)


def in_fragments(end, count):
    cases.send_fragments(end, wire.BINARY, *[b""] * count)
    end.expect(wire.BINARY, b"")


def too_many_fragments(end, count):
    cases.send_fragments(end, wire.BINARY, *[b""] * count)
    end.expect_close(1008, 1009)


def too_many_pings(end, count):
    """Those within the limit may be answered; then comes the close."""
    end.raw(end.frame(wire.PING) * count)
    opcode = wire.PONG
    pongs = -1
    while opcode == wire.PONG:
        pongs += 1
        opcode, _, payload = end.hear()
    if opcode != wire.CLOSE or payload[:2] != (1008).to_bytes(2, "big"):
        raise wire.Broken(f"opcode {opcode} ({payload!r}) after {pongs} pongs")
    if pongs >= count:
        raise wire.Broken(f"{pongs} pongs")
    end.closed = True


def attempt(port, function, value):
    fault = cases.try_case(
        wire.connect(port), lambda end: cases.call(function, value, end)
    )
    told = f"{function.__name__.replace('_', ' ')} {value}"
    interop.check(fault is None, told + (f": {fault}" if fault else ""))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    interop.limit_time(100)
    testee, nws = sys.argv[1:]
    with interop.Program(testee, "--port", "0", "--max-message", "1000") as server:
        port = server.port()
        attempt(port, whole, 1000)
        attempt(port, header_only, 1001)
        attempt(port, second_header_only, 1001)
        attempt(port, header_only, (1 << 63) - 1)
        interop.stop_well(server, "testee_server")
    with interop.Program(nws, "serve", "--port", "0") as server:
        port = server.port()
        attempt(port, whole, MIB)
        attempt(port, header_only, MIB + 1)
        attempt(port, second_header_only, MIB + 1)
        attempt(port, in_fragments, 131072)
        attempt(port, too_many_fragments, 131073)
        attempt(port, too_many_pings, 2001)
        interop.stop_well(server, "nws serve")
    interop.finish()


if __name__ == "__main__":
    main()
