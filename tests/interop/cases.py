"""Conformance cases for something that sends every message back, in the areas
that test suites for WebSockets usually have. Each case is a function of a Wire,
which may be either end; it raises when the other side breaks a rule. A case that
leaves the connection open gets a closing handshake.

The sides differ in nothing but masking and who ends TCP, so that the same cases
judge a server and a client.
"""

import functools
import os
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Broken

CASES = []  # name, function, whether it breaks a rule
MIB = 1 << 20
WORLD = "Hello-µ@ßöäüàá-UTF-8!! Κόσμε 水 𝄞"


def breaks_a_rule(function):
    return "fails" in function.__code__.co_names


def case(function):
    name = function.__name__.replace("_", " ")
    CASES.append((name, function, breaks_a_rule(function)))
    return function


def call(template, value, wire):
    template(wire, value)


def cases_of(template, *values):
    """One case for each value; `template` gets the wire and the value."""
    for value in values:
        name = f"{template.__name__.replace('_', ' ')} {value!r:.40}"
        run = functools.partial(call, template, value)
        CASES.append((name, run, breaks_a_rule(template)))


def say(wire, payload, opcode=TEXT):
    wire.send(opcode, payload)
    wire.expect(opcode, payload)


def fails(wire, *codes):
    """The other side must close with one of the codes, and say no more."""
    wire.expect_close(*codes)


def end_well(wire):
    """What follows each case."""
    if not wire.closed:
        wire.send(CLOSE, b"\x03\xe8")
        wire.expect_close(1000)
    wire.expect_end()


# --- Framing (RFC 6455 5.2) ---


def text_of_length(wire, size):
    say(wire, b"*" * size)


def binary_of_length(wire, size):
    say(wire, os.urandom(size), BINARY)


SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]
cases_of(text_of_length, *SIZES)
cases_of(binary_of_length, *SIZES)


@case
def text_dripping_byte_by_byte(wire):
    text = WORLD.encode() * 4
    wire.drip(wire.frame(TEXT, text))
    wire.expect(TEXT, text)


@case
def many_messages_in_one_write(wire):
    texts = [b"%d" % number for number in range(2000)]
    wire.raw(b"".join(wire.frame(TEXT, text) for text in texts))
    for text in texts:
        wire.expect(TEXT, text)


@case
def message_of_16_MiB_in_one_frame(wire):
    say(wire, os.urandom(16 * MIB), BINARY)


@case
def frames_cut_at_odd_places(wire):
    data = os.urandom(70000)
    wire.drip(wire.frame(BINARY, data), step=997)
    wire.expect(BINARY, data)


def length_not_in_its_shortest_form(wire, form):
    size, bits = form
    wire.raw(wire.frame(BINARY, bytes(size), form=bits))
    fails(wire, 1002)


cases_of(length_not_in_its_shortest_form, (0, 16), (125, 16), (125, 64), (65535, 64))


@case
def length_with_its_top_bit_set(wire):
    wire.raw(wire.frame(BINARY, b"", form=64, length=1 << 63))
    fails(wire, 1002)


@case
def masking_in_the_wrong_direction(wire):
    wire.send(TEXT, b"wrong", masked=not wire.is_client)
    fails(wire, 1002)


# --- Pings and pongs (5.5.2, 5.5.3) ---


def ping_with_payload(wire, payload):
    wire.send(PING, payload)
    wire.expect(PONG, payload)


cases_of(ping_with_payload, b"", b"Hello", bytes(range(125)), b"\xfe\xff\x00")


@case
def ping_too_long(wire):
    wire.send(PING, b"*" * 126)
    fails(wire, 1002)


@case
def ping_fragmented(wire):
    wire.send(PING, b"half", fin=False)
    fails(wire, 1002)


@case
def ping_dripping_byte_by_byte(wire):
    wire.drip(wire.frame(PING, b"slowly" * 20))
    wire.expect(PONG, b"slowly" * 20)


@case
def ten_pings_in_one_write(wire):
    wire.raw(b"".join(wire.frame(PING, b"%d" % n) for n in range(10)))
    for number in range(10):
        wire.expect(PONG, b"%d" % number)


@case
def pong_that_nobody_asked_for(wire):
    wire.send(PONG, b"unasked")
    say(wire, b"and on")


# --- Reserved bits and opcodes (5.2) ---


def reserved_bits_on_text(wire, rsv):
    wire.send(TEXT, b"reserved", rsv=rsv)
    fails(wire, 1002)


def reserved_bits_on_control(wire, frame):
    opcode, rsv = frame
    wire.send(opcode, b"", rsv=rsv)
    fails(wire, 1002)


def reserved_opcode(wire, opcode):
    wire.send(opcode, b"what is it")
    fails(wire, 1002)


cases_of(reserved_bits_on_text, 1, 2, 3, 4, 5, 6, 7)
cases_of(reserved_bits_on_control, (PING, 4), (PONG, 2), (CLOSE, 1))
cases_of(reserved_opcode, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15)


@case
def echo_owed_before_a_violation_comes_first(wire):
    wire.raw(wire.frame(TEXT, b"owed") + wire.frame(PING, b"too")
             + wire.frame(TEXT, b"wrong", rsv=4) + wire.frame(TEXT, b"never"))  # fmt: skip
    wire.expect(TEXT, b"owed")
    wire.expect(PONG, b"too")
    fails(wire, 1002)


# --- Fragmentation (5.4) ---


def send_fragments(wire, opcode, *parts):
    frames = [
        wire.frame(CONTINUATION if at else opcode, part, fin=at == len(parts) - 1)
        for at, part in enumerate(parts)
    ]
    wire.raw(b"".join(frames))


def fragments(wire, parts):
    send_fragments(wire, TEXT, *parts)
    wire.expect(TEXT, b"".join(parts))


cases_of(fragments, (b"one ", b"two"), (b"", b"", b""), (b"", b"late", b""),
         (b"cut in a \xe2\x82", b"\xac"), (b"\xf0", b"\x9d", b"", b"\x84", b"\x9e"))  # fmt: skip


@case
def control_frames_between_fragments(wire):
    wire.send(TEXT, b"first, ", fin=False)
    wire.send(PING, b"between")
    wire.expect(PONG, b"between")
    wire.send(PONG, b"unasked")
    wire.send(CONTINUATION, b"second, ", fin=False)
    wire.send(PING, b"again")
    wire.expect(PONG, b"again")
    wire.send(CONTINUATION, b"third")
    wire.expect(TEXT, b"first, second, third")


def in_fragments_of(wire, cut):
    size, step = cut
    data = os.urandom(size)
    parts = [data[at : at + step] for at in range(0, size, step)]
    send_fragments(wire, BINARY, *parts)
    wire.expect(BINARY, data)


cases_of(in_fragments_of, (65536, 1), (4 * MIB, 64), (16 * MIB, 65536))


@case
def continuation_of_nothing(wire):
    wire.send(CONTINUATION, b"of what?")
    fails(wire, 1002)


@case
def continuation_after_the_last_fragment(wire):
    fragments(wire, (b"done ", b"and over"))
    wire.send(CONTINUATION, b"more", fin=False)
    fails(wire, 1002)


@case
def new_message_within_a_fragmented_one(wire):
    wire.send(TEXT, b"first", fin=False)
    wire.send(TEXT, b"second")
    fails(wire, 1002)


# --- UTF-8 (8.1) ---


def valid_text(wire, text):
    say(wire, text.encode())


def invalid_text(wire, data):
    wire.send(TEXT, b"fine so far " + data)
    fails(wire, 1007)


INVALID = [
    b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff",
    b"\xe2\x82", b"\xf0\x9d\x84", b"\xc3", b"\xe2\x28\xa1",
]  # fmt: skip
cases_of(valid_text, WORLD, "\0", "\x7f\x80\u07ff\u0800\uffff", "\ufeffmark",
         "\ufdd0\ufffe\U0001fffe", "\U00010000\U0010ffff", "\ud7ff\ue000")  # fmt: skip
cases_of(invalid_text, *INVALID)


def fails_fast_within_a_frame(wire, data):
    """The rest of the frame never comes: the verdict must not wait for it."""
    whole = wire.frame(TEXT, b"good " + data + b"*" * 1000)
    wire.raw(whole[: len(whole) - 1000])
    fails(wire, 1007)


@case
def fails_fast_within_a_fragmented_message(wire):
    wire.send(TEXT, "κόσμε".encode(), fin=False)
    wire.send(CONTINUATION, b"\xf4\x90", fin=False)
    fails(wire, 1007)


@case
def fails_fast_byte_by_byte(wire):
    whole = wire.frame(TEXT, "κόσμε".encode() + b"\xed\xa0\x80edited")
    wire.drip(whole[: len(whole) - 7])
    fails(wire, 1007)


@case
def text_that_ends_within_a_character(wire):
    send_fragments(wire, TEXT, b"half a euro: \xe2", b"\x82")
    fails(wire, 1007)


@case
def binary_need_not_be_text(wire):
    say(wire, b"".join(INVALID), BINARY)


cases_of(fails_fast_within_a_frame, b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90")

# --- Closing (5.5.1, 7) ---


def close_with_code(wire, code):
    wire.send(CLOSE, code.to_bytes(2, "big"))
    wire.expect_close(code)


def close_with_bad_code(wire, code):
    wire.send(CLOSE, code.to_bytes(2, "big") + b"why not")
    fails(wire, 1002)


cases_of(close_with_code, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
         1012, 1013, 1014, 3000, 3999, 4000, 4999)  # fmt: skip
cases_of(close_with_bad_code, 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000,
         2999, 5000, 65535)  # fmt: skip


@case
def close_without_payload(wire):
    wire.send(CLOSE)
    wire.expect_close(None, 1000)


@case
def close_with_one_byte(wire):
    wire.send(CLOSE, b"\x03")
    fails(wire, 1002)


@case
def close_with_the_longest_reason(wire):
    wire.send(CLOSE, b"\x03\xe8" + b"*" * 123)
    wire.expect_close(1000)


@case
def close_too_long(wire):
    wire.send(CLOSE, b"\x03\xe8" + b"*" * 124)
    fails(wire, 1002)


@case
def close_with_a_reason_that_is_no_text(wire):
    wire.send(CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80")
    fails(wire, 1007)


@case
def close_dripping_byte_by_byte(wire):
    wire.drip(wire.frame(CLOSE, b"\x0b\xb8slowly"))
    wire.expect_close(3000)


@case
def nothing_counts_after_a_close(wire):
    wire.raw(wire.frame(TEXT, b"before") + wire.frame(CLOSE, b"\x03\xe8")
             + wire.frame(TEXT, b"after") + wire.frame(PING) + b"\xff" * 9)  # fmt: skip
    wire.expect(TEXT, b"before")
    wire.expect_close(1000)


@case
def close_within_a_fragmented_message(wire):
    wire.send(TEXT, b"never finished", fin=False)
    wire.send(CLOSE, b"\x03\xe8")
    wire.expect_close(1000)


@case
def a_second_violation_is_not_answered(wire):
    wire.raw(wire.frame(3) + wire.frame(TEXT, b"\xff") + wire.frame(4))
    fails(wire, 1002)


# --- Running ---


def try_case(wire, function):
    """Runs one case; gives None, or what went wrong."""
    try:
        function(wire)
        end_well(wire)
    except (Broken, OSError, UnicodeDecodeError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        wire.close()
    return None


