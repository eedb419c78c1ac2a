"""What the tests of the program share: running it, and fake peers.

Each test file is run as `python3 cli_thing.py /path/to/nws`. Every wait has an
end, ports are those the system gives, and only processes started here are ended.
"""

import base64
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest

os.environ["NO_COLOR"] = "1"  # whoever tests colours, lets them be
# Memory that is freed is to count as free.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
LIMIT = 20  # seconds that anything at all may take
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NWS = sys.argv.pop(1) if len(sys.argv) > 1 else "nws"


def main():
    unittest.main(verbosity=1)


def run(*args, stdin=b"", **options):
    """Runs the program to its end; .stdout and .stderr are text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run(
        [NWS, *args], input=stdin, capture_output=True, timeout=LIMIT, **options
    )
    done.out_bytes = done.stdout
    done.stdout = done.stdout.decode(errors="backslashreplace")
    done.stderr = done.stderr.decode()
    return done


class Running:
    """The program while it runs; ended at the end of the test if need be."""

    def __init__(self, test, *args, **options):
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        self.process = subprocess.Popen([NWS, *args], bufsize=0, **options)
        self.timer = threading.Timer(LIMIT, self.process.kill)
        self.timer.start()
        test.addCleanup(self.clean)

    def clean(self):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def line(self):
        """The next line of its output, without the line end."""
        got = b""
        while not got.endswith(b"\n"):
            byte = self.process.stdout.read(1)
            if not byte:
                break
            got += byte
        return got.decode().rstrip("\n")

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def end(self, keep=False):
        """Waits for the end: exit code, output, errors. Ends its input before,
        unless it is to be kept open."""
        pipe, self.process.stdin = self.process.stdin, None
        if pipe and not keep:
            pipe.close()
        out, err = self.process.communicate(timeout=LIMIT)
        if pipe:
            pipe.close()
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()


class Server(Running):
    """nws serve on a free port."""

    def __init__(self, test, *args, **options):
        super().__init__(test, "serve", "--port", "0", *args, **options)
        self.port = int(re.search(r":(\d+)\. ", self.line()).group(1))
        self.welcome = [self.line()]
        while self.welcome[-1] not in ("", "Ctrl-C stops."):
            self.welcome.append(self.line())
        scheme = "wss" if " wss://" in self.welcome[1] else "ws"
        self.url = f"{scheme}://127.0.0.1:{self.port}/"


def frame(opcode, payload=b"", fin=True, mask=None, rsv=0):
    """The bytes of a frame."""
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if mask:
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        head += mask
    return head + payload


def peak(process):
    """The most memory that a process has had, in bytes."""
    with open(f"/proc/{process.pid}/status") as file:
        return int(file.read().split("VmHWM:")[1].split()[0]) << 10


def long_frame(opcode, payload):
    """A client's frame of at least 64 KiB, masked with zeros, as masking in
    Python takes long."""
    return bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q4x", len(payload)) + payload


def close_payload(code, reason=""):
    return struct.pack(">H", code) + reason.encode()


class Wire:
    """One end of a connection, by hand."""

    def __init__(self, sock, masked=False):
        sock.settimeout(LIMIT)
        self.sock = sock
        self.mask = b"\x11\x22\x33\x44" if masked else None
        self.rest = b""

    def more(self):
        got = self.sock.recv(65536)
        self.rest += got
        return bool(got)

    def take(self, count):
        while len(self.rest) < count:
            if not self.more():
                raise EOFError
        got, self.rest = self.rest[:count], self.rest[count:]
        return got

    def head(self):
        """An HTTP head: its lines."""
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                raise EOFError
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head.decode().split("\r\n")

    def recv(self):
        """The next frame: opcode, payload, FIN."""
        first, second = self.take(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        key = self.take(4) if second & 0x80 else bytes(4)
        payload = self.take(length)
        if second & 0x80 and any(key):
            stream = (key * (length // 4 + 1))[:length]
            number = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
            payload = number.to_bytes(length, "big")
        return first & 0x0F, payload, bool(first & 0x80)

    def send(self, opcode, payload=b"", **options):
        self.sock.sendall(frame(opcode, payload, mask=self.mask, **options))

    def at_end(self):
        """Whether the other end has closed the transport."""
        try:
            return self.rest == b"" and not self.more()
        except ConnectionError:
            return True

    def accept(self, extra=""):
        """Plays the server's part of the handshake; returns the request."""
        lines = self.head()
        key = next(x for x in lines if x.lower().startswith("sec-websocket-key:"))
        digest = hashlib.sha1(key.split(":")[1].strip().encode() + GUID).digest()
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + f"\r\n{extra}\r\n".encode()
        )
        return lines


class FakeServer:
    """Accepts one connection and lets `script` talk over it, in a thread."""

    def __init__(self, test, script):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT)
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.result = self.error = None
        self.script = script
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()
        test.addCleanup(self.listener.close)
        test.addCleanup(self.thread.join, LIMIT)

    def talk(self):
        try:
            sock, _ = self.listener.accept()
            with sock:
                self.result = self.script(Wire(sock))
        except Exception as error:  # told to whoever asks for the result
            self.error = error

    def join(self):
        """What the script returned."""
        self.thread.join(LIMIT)
        if self.error:
            raise self.error
        if self.thread.is_alive():
            raise TimeoutError("the fake server's script does not end")
        return self.result


def dial(test, port, headers="", target="/"):
    """A client by hand: the wire, and the head of the answer."""
    sock = socket.create_connection(("127.0.0.1", port), LIMIT)
    test.addCleanup(sock.close)
    wire = Wire(sock, masked=True)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n{headers}\r\n".encode()
    )
    return wire, wire.head()


def refusing_port(test):
    """A port that refuses connections for as long as the test runs: it is taken,
    and nobody listens."""
    taken = socket.socket()
    test.addCleanup(taken.close)
    taken.bind(("127.0.0.1", 0))
    return taken.getsockname()[1]


def free_port():
    """A port that nothing listens on, for now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
