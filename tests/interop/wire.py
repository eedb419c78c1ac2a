"""Frames and handshakes by hand, over plain sockets: what a peer looks like that
is written from RFC 6455 alone and shares no code with the library. It can say
what no well-behaved peer would, and is strict about what it hears.
"""

import base64
import hashlib
import os
import re
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE = 30


class Broken(Exception):
    """The other side did what it must not, or not what it must."""


def xor(data, key):
    """Masks or unmasks (RFC 6455 5.3)."""
    repeated = key * (len(data) // 4 + 1)
    left = int.from_bytes(data, "big")
    right = int.from_bytes(repeated[: len(data)], "big")
    return (left ^ right).to_bytes(len(data), "big")


def encode_length(length, masked, form=None):
    """The length in 7, 16 or 64 bits; the shortest that fits unless told."""
    if form is None:
        form = 7 if length < 126 else 16 if length < 65536 else 64
    if form == 7:
        return bytes([masked | length])
    if form == 16:
        return bytes([masked | 126]) + struct.pack("!H", length)
    return bytes([masked | 127]) + struct.pack("!Q", length)


def encode(opcode, payload=b"", fin=True, rsv=0, masked=True, form=None, length=None):
    """A frame; `length` announces another length than the payload has."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload) if length is None else length
    head = bytes([first]) + encode_length(size, 0x80 if masked else 0, form)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + xor(payload, key)


class Wire:
    """One end of a connection whose handshake is over."""

    def __init__(self, sock, is_client, rest=b""):
        sock.settimeout(PATIENCE)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.is_client = is_client
        self.buffer = bytearray(rest)
        self.last_key = None
        self.closed = False  # a close frame came
        # Set for an echo that sends pieces of a message back before it is whole:
        # they are put aside while a control frame is waited for.
        self.echoes_pieces = False
        self.pieces = []

    # --- Saying ---

    def raw(self, data):
        self.sock.sendall(data)

    def frame(self, opcode, payload=b"", **how):
        how.setdefault("masked", self.is_client)
        return encode(opcode, payload, **how)

    def send(self, opcode, payload=b"", **how):
        self.raw(self.frame(opcode, payload, **how))

    def drip(self, data, step=1):
        """Sends in pieces that arrive apart, as far as one can make them."""
        for at in range(0, len(data), step):
            self.raw(data[at : at + step])

    # --- Hearing ---

    def take(self, count):
        while len(self.buffer) < count:
            more = self.sock.recv(1 << 18)
            if not more:
                raise Broken(f"end of stream, {count - len(self.buffer)} bytes short")
            self.buffer += more
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def take_length(self, short):
        if short < 126:
            return short
        length = int.from_bytes(self.take(2 if short == 126 else 8), "big")
        if length < (126 if short == 126 else 65536) or length >> 63:
            raise Broken(f"length {length} is not in its shortest form")
        return length

    def take_key(self, masked):
        if masked == self.is_client:
            raise Broken("masked by a server" if masked else "a client does not mask")
        if not masked:
            return None
        key = self.take(4)
        if key == self.last_key:
            raise Broken("the masking key of the frame before")
        self.last_key = key
        return key

    def hear(self):
        """The next frame: opcode, fin, payload. Strict about its form."""
        first, second = self.take(2)
        opcode, fin = first & 15, first >> 7
        if first & 0x70 or opcode not in (0, 1, 2, 8, 9, 10):
            raise Broken(f"a frame that begins with {first:#04x}")
        length = self.take_length(second & 127)
        if opcode >= 8 and (not fin or length > 125):
            raise Broken("a control frame that is fragmented or long")
        key = self.take_key(bool(second & 0x80))
        payload = self.take(length)
        return opcode, fin, xor(payload, key) if key else payload

    def hear_control(self):
        frame = self.hear()
        while self.echoes_pieces and frame[0] < CLOSE:
            self.pieces.append(frame)
            frame = self.hear()
        return frame

    def hear_piece(self):
        return self.pieces.pop(0) if self.pieces else self.hear()

    def expect(self, opcode, payload):
        """A whole message or control frame with this payload is next."""
        hear = self.hear_control if opcode >= CLOSE else self.hear_piece
        got, fin, data = hear()
        if got != opcode:
            raise Broken(f"opcode {got} ({data[:40]!r}) instead of {opcode}")
        while not fin:
            more, fin, part = self.hear_piece()
            if more != CONTINUATION:
                raise Broken(f"opcode {more} within a fragmented message")
            data += part
        if data != payload:
            raise Broken(f"{data[:40]!r} ({len(data)}), not {payload[:40]!r}")

    def expect_close(self, *codes):
        """A close frame is next, with one of the codes; None stands for none."""
        opcode, _, data = self.hear_control()
        if opcode != CLOSE:
            raise Broken(f"opcode {opcode} ({data[:40]!r}) instead of a close")
        code = int.from_bytes(data[:2], "big") if data else None
        data[2:].decode()
        if code not in codes:
            raise Broken(f"close code {code}, expected {codes}")
        self.closed = True

    def expect_end(self):
        """The server ends the TCP connection, first (RFC 6455 7.1.1)."""
        if not self.is_client:
            self.sock.shutdown(socket.SHUT_WR)
        if self.buffer or self.sock.recv(1):
            raise Broken("bytes behind the close frame")

    def close(self):
        self.sock.close()


# --- Handshakes ---


def read_head(sock):
    """The lines of an HTTP head, and the bytes behind it."""
    sock.settimeout(PATIENCE)
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more:
            raise Broken(f"end of stream within the head {data!r}")
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head.decode("latin-1").split("\r\n"), rest


def fields(lines):
    """Header values by their names in lower case."""
    pairs = (line.split(":", 1) for line in lines[1:])
    return {name.lower(): value.strip() for name, value in pairs}


def accept_key(key):
    digest = hashlib.sha1((key + GUID).encode()).digest()
    return base64.b64encode(digest).decode()


def request(port, path="/", key="dGhlIHNhbXBsZSBub25jZQ==", first="GET {} HTTP/1.1",
            **changes):  # fmt: skip
    """A client's request; `changes` replace headers (None leaves one out), an
    underscore in their names standing for a dash."""
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    headers.update({name.replace("_", "-"): to for name, to in changes.items()})
    lines = [first.format(path)]
    lines += [f"{name}: {to}" for name, to in headers.items() if to is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def dial(port):
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def connect(port, path="/"):
    """Shakes hands with a server; gives the client's end."""
    key = base64.b64encode(os.urandom(16)).decode()
    sock = dial(port)
    sock.sendall(request(port, path, key))
    lines, rest = read_head(sock)
    found = fields(lines)
    if lines[0].split(" ")[:2] != ["HTTP/1.1", "101"]:
        raise Broken(f"answered with {lines[0]!r}")
    if found.get("sec-websocket-accept") != accept_key(key):
        raise Broken("a wrong Sec-WebSocket-Accept")
    if found.get("upgrade", "").lower() != "websocket":
        raise Broken("no Upgrade in the answer")
    return Wire(sock, True, rest)


def read_request(sock):
    """Reads a client's request strictly; gives target, headers and the rest."""
    lines, rest = read_head(sock)
    match = re.fullmatch(r"GET (/\S*) HTTP/1\.1", lines[0])
    found = fields(lines)
    if not match:
        raise Broken(f"request line {lines[0]!r}")
    if len(base64.b64decode(found["sec-websocket-key"], validate=True)) != 16:
        raise Broken("the key is not 16 bytes")
    if found["sec-websocket-version"] != "13" or rest:
        raise Broken("not version 13, or bytes behind the request")
    if found["upgrade"].lower() != "websocket":
        raise Broken("no upgrade asked for")
    if found["connection"].lower() != "upgrade":
        raise Broken("no upgrade named in Connection")
    return match.group(1), found, rest


def response(found, first="HTTP/1.1 101 Switching Protocols", **changes):
    """A server's answer to a request with these headers."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_key(found["sec-websocket-key"]),
    }
    headers.update({name.replace("_", "-"): to for name, to in changes.items()})
    lines = [first, *(f"{n}: {to}" for n, to in headers.items() if to is not None)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def listen():
    """A listening socket on a free port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(8)
    sock.settimeout(PATIENCE)
    return sock, sock.getsockname()[1]
