"""permessage-deflate (RFC 7692) with peers that share no code with us.

    compression.py END PEER ROLE   END is the program deflate_end, PEER python
                                   (websockets), ws (of Node.js) or the command of
                                   another one, ROLE its role: client or server

Tries every combination of parameters that the peer has with our defaults, every
combination of ours with the peer's, and some of both. Each connection is judged
by the headers that the peer saw and by what our end says it has agreed upon, and
what comes back is compared with what was sent.

A peer reads lines of words NAME=VALUE from its input: `server_no`, `client_no`,
`server_bits`, `client_bits` (0: not said; 1: without a value), `level`, `mem`,
`fragment` (bytes of a frame; 0: whole messages), `messages` (a file of them: each
"t" or "b", its length in four bytes, and the bytes), and for a client `port`. For
each line it makes, or takes, one connection and says

    offer: …            what was offered in the handshake
    answer: …           what was answered; our end tells it of peers that do not
    done: COUNT WRONG   messages that came back, those that were not the same
    trouble: …          if it came to that
    end

When it is a server it tells first where it is listening, and for each line says
"ready" when it can be connected to.
"""

import itertools
import json
import os
import random
import sys
import tempfile
import zlib
import interop
from interop import HERE, PYTHON, check

NAME = "permessage-deflate"
PEERS = {
    "python": [PYTHON, "-B", os.path.join(HERE, "compression_python.py")],
    "ws": ["node", os.path.join(HERE, "compression_ws.mjs")],
}
MIB = 1 << 20
# Around the smallest message that we compress by default, around each form of a
# frame's length, and beyond every window.
SIZES = [0, 1, 2, 31, 32, 33, 125, 126, 127, 65535, 65536, MIB]
LARGE = 16 * MIB
TAKEOVER = 1000


# --- What is sent ---


def rows(count, start=0):
    """JSON as an application would send it: much the same again and again."""
    made = (
        {"id": start + i, "name": f"größer {i % 17}", "on": i % 3 == 0, "at": i / 7}
        for i in range(count)
    )
    return json.dumps(list(made), ensure_ascii=False)


def cut(text, size):
    """As many bytes of a text, filled up where that would cut a character."""
    return text.encode()[:size].decode("utf-8", "ignore").encode().ljust(size, b" ")


def kinds(size, dice):
    """JSON, random and already compressed bytes of a size."""
    packed = zlib.compress(rows(1000).encode())
    yield b"t", cut(rows(1 + size // 60), size)
    yield b"b", dice.randbytes(size)
    yield b"b", (packed * (1 + size // len(packed)))[:size]


def brief_plan(dice):
    yield b"t", b""
    yield b"b", dice.randbytes(33)
    for i in range(3):
        yield b"t", rows(3, i).encode()


def short_plan(dice):
    """A little of everything, and what shows how far a compressor looks back: the
    same bytes again at a distance just below and above each window."""
    for size in (0, 1, 31, 32, 33, 126):
        yield b"t", cut(rows(3), size)
    yield from brief_plan(dice)
    again = dice.randbytes(40)
    parts = [again]
    for bits in range(8, 15):
        for size in ((1 << bits) - 60, (1 << bits) - 10):
            parts += [dice.randbytes(size), again]
    yield b"b", b"".join(parts)
    yield b"t", rows(20).encode()


def full_plan(dice):
    """All sizes of all kinds; then small messages that look back to each other."""
    for size in SIZES:
        yield from kinds(size, dice)
    for i in range(TAKEOVER):
        yield b"tb"[i % 2 : i % 2 + 1], rows(3, i).encode()


def large_plan(dice):
    yield from kinds(LARGE, dice)
    yield b"t", rows(3).encode()


def write_plan(folder, plan):
    path = os.path.join(folder, plan.__name__)
    with open(path, "wb") as file:
        for kind, data in plan(random.Random(7692)):
            file.write(kind + len(data).to_bytes(4, "big") + data)
    return path


# --- What is asked for ---


def combinations(**choices):
    """Every combination of one choice for each name."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values))


def peer_settings(peer, role):
    """Every combination of parameters that a peer can ask for."""
    server = client = [0, *range(8, 16)]
    if role == "client":
        client = [0, 1, *range(8, 16)]
    if peer == "python":
        # Its zlib has no window of 8 bits for sending.
        server, client = (
            (server, [b for b in client if b != 8])
            if role == "client"
            else ([b for b in server if b != 8], client)
        )
    if peer == "beast":
        server = client = range(9, 16)
    if peer == "lws" and role == "server":
        return [PLAIN]
    return combinations(
        server_no=(0, 1), client_no=(0, 1), server_bits=server, client_bits=client
    )


OUR_SETTINGS = list(
    combinations(
        send_no=(0, 1),
        receive_no=(0, 1),
        send_bits=(8, 9, 12, 15),
        receive_bits=(8, 9, 12, 15),
    )
)
# What is not agreed upon, but changes what is sent.
OUR_WAYS = [
    {"level": 1, "mem_level": 1},
    {"level": 9, "mem_level": 9, "fragment": 1000},
    {"min": 1, "fragment": 7, "send_bits": 8},
    {"isal": 1},
    {"isal": 1, "send_no": 1, "fragment": 100},
]
REFUSED = "closed 1006 the server did not answer with 101"
PLAIN = {"server_no": 0, "client_no": 0, "server_bits": 0, "client_bits": 0}


def peer_default(peer, role):
    """What leaves us the most freedom."""
    if peer == "beast":
        return {**PLAIN, "server_bits": 15, "client_bits": 15}
    return {**PLAIN, "client_bits": 1 if role == "client" else 0}


def can_take(peer, role, own):
    """Whether a peer can take our settings at all; see docs/compression.md."""
    if peer == "python":
        return own.get("receive_bits") != 8
    if peer == "lws" and role == "server":
        return not own.get("receive_no") or own.get("send_no")
    return True


def plan_of(peer, role, paths):
    """What is tried: settings of the peer, ours, and what is sent."""
    usual = peer_default(peer, role)
    theirs = list(peer_settings(peer, role))
    for asked in theirs:
        alone = sum(asked[name] != usual[name] for name in asked) < 2
        yield asked, {}, paths["short_plan" if alone else "brief_plan"]
    for own in [*OUR_SETTINGS, *OUR_WAYS]:
        if can_take(peer, role, own):
            yield usual, own, paths["short_plan"]
    for level, memory in zip(range(10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]):
        yield {**usual, "level": level, "mem": memory}, {}, paths["short_plan"]
    dice = random.Random(peer + role)
    for _ in range(50):
        asked = {**dice.choice(theirs), "fragment": dice.choice((0, 10, 1000))}
        settings = [own for own in OUR_SETTINGS if can_take(peer, role, own)]
        own = {**dice.choice(settings), "fragment": dice.choice((0, 10, 1000))}
        yield asked, own, paths["short_plan"]
    yield usual, {}, paths["full_plan"]
    yield {**usual, "fragment": 500}, {"min": 1, "fragment": 500}, paths["full_plan"]
    none = {"send_no": 1, "receive_no": 1}
    yield {**usual, "server_no": 1, "client_no": 1}, none, paths["full_plan"]
    yield {**usual, "level": 1}, {"level": 1}, paths["large_plan"]
    large = {**usual, "level": 1, "fragment": 100000}
    yield large, {"level": 1, "fragment": 100000}, paths["large_plan"]


# --- What must come of it ---


def parse(header):
    """Extensions of a header: names, and their parameters (True: no value)."""
    for element in filter(None, (part.strip() for part in header.split(","))):
        name, *params = (word.strip() for word in element.split(";"))
        found = {}
        for param in params:
            key, equals, value = param.partition("=")
            found[key] = int(value) if equals else True
        yield name, found


def element(server_no, client_no, server_bits, client_bits):
    """Parameters as an offer has them, from numbers as an order has them."""
    made = {}
    if server_no:
        made["server_no_context_takeover"] = True
    if client_no:
        made["client_no_context_takeover"] = True
    if server_bits:
        made["server_max_window_bits"] = server_bits
    if client_bits:
        made["client_max_window_bits"] = True if client_bits == 1 else client_bits
    return made


def is_answer(offer, answer):
    """Whether an answer is one to this offer (RFC 7692 7.1)."""
    if offer.get("server_no_context_takeover"):
        if not answer.get("server_no_context_takeover"):
            return False
    bits = offer.get("server_max_window_bits")
    if bits and not answer.get("server_max_window_bits", 16) <= bits:
        return False
    bits = answer.get("client_max_window_bits")
    limit = offer.get("client_max_window_bits", 0)
    return bits is None or bits <= (15 if limit is True else limit)


def our_offers(own):
    """What our client offers: what it asks of a server it does also without."""
    bits = own.get("receive_bits", 15)
    send = own.get("send_no"), own.get("send_bits", 15) % 15 or 1
    first = element(own.get("receive_no"), send[0], bits % 15, send[1])
    second = element(0, send[0], 0, send[1])
    return [first] if first == second else [first, second]


def our_answer(offer, own):
    """What our server answers: it names all that it binds itself or the client
    to (RFC 7692 7.1.1.1, 7.1.1.2, 7.1.2.1, 7.1.2.2)."""
    server = min(offer.get("server_max_window_bits", 15), own.get("send_bits", 15))
    named = offer.get("client_max_window_bits")
    client = min(15 if named in (None, True) else named, own.get("receive_bits", 15))
    return element(
        offer.get("server_no_context_takeover") or own.get("send_no"),
        offer.get("client_no_context_takeover") or own.get("receive_no"),
        server if server < 15 or "server_max_window_bits" in offer else 0,
        client if named and (client < 15 or named is not True) else 0,
    )


def in_force(role, answer, own):
    """What our end then has to say that it has agreed upon."""
    server = answer.get("server_no_context_takeover", 0)
    client = answer.get("client_no_context_takeover", 0)
    server_bits = answer.get("server_max_window_bits", 15)
    client_bits = answer.get("client_max_window_bits", 15)
    if role == "server":
        client = client or own.get("send_no", 0)
        client_bits = min(client_bits, own.get("send_bits", 15))
        server, client = client, server
        server_bits, client_bits = client_bits, server_bits
    return [int(server), int(client), server_bits, client_bits]


def against_offer(peer, offers, answer):
    """What is wrong with an answer to us."""
    if any(is_answer(offer, answer) for offer in offers):
        return False
    # Beast has no window of 8 bits, and answers 9.
    wider = {**offers[0], "server_max_window_bits": 9}
    asked = offers[0].get("server_max_window_bits")
    return not (peer == "beast" and asked == 8 and is_answer(wider, answer))


def refuses(peer, asked, offers):
    """Whether a server answers 400 to what it could decline: ws does, when it is
    told of a window and all offers are of a smaller one."""

    def declines(offer):
        client = offer.get("client_max_window_bits", 0)
        return (
            offer.get("server_max_window_bits", 15) < asked["server_bits"]
            or (15 if client is True else client) < asked["client_bits"]
        )

    return peer == "ws" and all(map(declines, offers))


def misreads(peer, asked, offers):
    """Whether a server declines what it could take: Beast looks at one offer only,
    and does not see the last parameter of that if it has no value and another
    offer follows. That is our window, which it wants to limit here."""
    unseen = offers[0].get("client_max_window_bits") is True and len(offers) > 1
    return peer == "beast" and unseen and asked["client_bits"] < 15


def came_back(told):
    count, wrong = told.get("done", "0 0").split()
    if "trouble" in told or count == "0" or wrong != "0":
        yield f"{told.get('trouble')}; {count} messages came back, {wrong} wrong"


def faults(peer, role, asked, own, told, agreed):
    """What is wrong with a connection."""
    offers = [params for name, params in parse(told.get("offer", "")) if name == NAME]
    if role == "server" and refuses(peer, asked, offers):
        if "answer" in told or agreed is not None:
            yield "the handshake was not refused"
        return
    if role == "server" and misreads(peer, asked, offers):
        if told["answer"] or agreed is not None:
            yield "the offer was not declined"
        yield from came_back(told)
        return
    answers = list(parse(told.get("answer", "")))
    if not offers or len(answers) != 1 or answers[0][0] != NAME:
        yield "nothing was agreed upon"
        return
    answer = answers[0][1]
    wanted = element(*(asked[name] for name in PLAIN))
    if role == "client":
        if offers != [wanted]:
            yield f"the peer has not offered {wanted}"
        if answer != our_answer(offers[0], own):
            yield f"the answer is not {our_answer(offers[0], own)}"
    else:
        if offers != our_offers(own):
            yield f"the offer is not {our_offers(own)}"
        if against_offer(peer, offers, answer):
            yield "the answer is none to any offer"
        bounds = {name: answer.get(name, 15) for name in wanted}
        if any(bounds[name] > value for name, value in wanted.items()):
            yield f"the peer's answer does not bind as it was told: {wanted}"
    if agreed != in_force(role, answer, own):
        yield f"we have agreed on {agreed} and not {in_force(role, answer, own)}"
    yield from came_back(told)


# --- Connections ---


def text_of(own):
    return ",".join(f"{name}={value}" for name, value in own.items()) or "-"


def say(program, line):
    program.process.stdin.write(line + "\n")
    program.process.stdin.flush()


def told_by(peer):
    told = {}
    while (line := peer.line(120)) != "end":
        if line is None:
            raise EOFError(f"the peer is gone: {peer.said()}")
        what, _, rest = line.partition(": ")
        told[what] = rest
    return told


def ours(end):
    """What our end says about a connection: what was agreed upon, how it closed,
    and as a client the answer that it has got."""
    told = {}
    while "closed" not in told:
        line = end.expect("^(answer:|agreed|closed)").string
        told[line.split()[0]] = line
    words = told.get("agreed", "").split()[1:]
    agreed = [int(w) for w in words] if len(words) == 4 else None
    return agreed, told["closed"], told.get("answer:", "").partition(": ")[2]


class Clients:
    """The peer's client with servers of ours, one for each of our settings."""

    def __init__(self, end, plan):
        self.ports = {}
        self.settings = list(dict.fromkeys(text_of(own) for _, own, _ in plan))
        self.end = interop.Program(end, "server", *self.settings)

    def start(self, peer):
        self.ports = {text: self.end.port() for text in self.settings}

    def begin(self, peer, own, line):
        say(peer, f"{line} port={self.ports[text_of(own)]}")


class Servers:
    """Clients of ours with the peer's server."""

    def __init__(self, end, plan):
        self.port = 0
        self.end = interop.Program(end, "client")

    def start(self, peer):
        self.port = peer.port()

    def begin(self, peer, own, line):
        say(peer, line)
        peer.expect("^ready$")
        say(self.end, f"{self.port} {text_of(own)}")


def connect(side, peer, asked, own, path):
    """One connection: what the peer tells, and what our end has agreed upon."""
    words = {"level": 6, "mem": 8, "fragment": 0, **asked, "messages": path}
    line = " ".join(f"{name}={value}" for name, value in words.items())
    side.begin(peer, own, line)
    told = told_by(peer)
    agreed, closed, answer = ours(side.end)
    if answer:
        told.setdefault("answer", answer)
    if closed.strip() != ("closed 1000" if "answer" in told else REFUSED):
        told.setdefault("trouble", closed)
    return told, agreed


def try_all(end, kind, command, role, folder):
    plans = brief_plan, short_plan, full_plan, large_plan
    paths = {p.__name__: write_plan(folder, p) for p in plans}
    plan = list(plan_of(kind, role, paths))
    if kind == "lws" and role == "client":
        # A message that is not compressed it delivers for ever.
        plan = [(asked, {**own, "min": 1}, path) for asked, own, path in plan]
    side = (Clients if role == "client" else Servers)(end, plan)
    with side.end, interop.Program(*command, role) as peer:
        side.start(peer)
        for asked, own, path in plan:
            told, agreed = connect(side, peer, asked, own, path)
            wrong = list(faults(kind, role, asked, own, told, agreed))
            what = f"{os.path.basename(path)} {asked} {text_of(own)}: {told}"
            check(not wrong, f"{what} {'; '.join(wrong)}".strip())
        for program in (peer, side.end):
            program.end_input()
            check(program.wait() == 0, f"ends well {program.said()}")


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in ("client", "server"):
        sys.exit(__doc__)
    interop.limit_time(280)
    end, peer, role = sys.argv[1:]
    command = PEERS.get(peer, [peer])
    kind = peer if peer in PEERS else os.path.basename(peer).removeprefix("peer_")
    with tempfile.TemporaryDirectory() as folder:
        try_all(end, kind, command, role, folder)
    interop.finish()


if __name__ == "__main__":
    main()
