"""Opening handshakes by hand (RFC 6455 4): what a server answers to requests of
every kind, and what a client makes of answers of every kind.

    handshakes.py SERVER CLIENT     an echo server that takes --port, and a
                                    client that says one line: CLIENT URL LINE
"""

import sys
import threading
import interop
import wire

# What is wrong with a request, and the status that says so.
REQUESTS = [
    ("a POST", 405, {"first": "POST {} HTTP/1.1"}),
    ("HTTP/1.0", None, {"first": "GET {} HTTP/1.0"}),
    ("version 8", 426, {"Sec_WebSocket_Version": "8"}),
    ("no version", 426, {"Sec_WebSocket_Version": None}),
    ("no key", 400, {"Sec_WebSocket_Key": None}),
    ("a key of 15 bytes", 400, {"Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAA"}),
    ("a key that is not base64", 400, {"Sec_WebSocket_Key": "!" * 24}),
    ("no Host", 400, {"Host": None}),
    ("no Upgrade", None, {"Upgrade": None}),
    ("Upgrade to something else", None, {"Upgrade": "h2c"}),
    ("no Connection", None, {"Connection": None}),
    ("a foreign origin", 403, {"Origin": "http://evil.example"}),
    ("the opaque origin", 403, {"Origin": "null"}),
    ("a body", 400, {"Content_Length": "5"}),
    ("a target that is no path", 400, {"path": "*"}),
    ("a folded header", 400, {"X_Long": "one\r\n two"}),
    ("a line feed alone", 400, {"X_Split": "one\ntwo: 2"}),
    ("a zero byte", 400, {"X_Zero": "a\0b"}),
    ("the key twice", 400, {"X": "1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}),
    ("a head without end", None, {"X_Huge": "*" * 100000}),
]
ACCEPTED = [
    ("tokens in other cases", {"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}),
    ("a list of upgrades", {"Upgrade": "h2c, websocket"}),
    ("a path with a query", {"path": "/chat?room=1&x=%20"}),
    ("unknown subprotocols", {"Sec_WebSocket_Protocol": "soap, wamp"}),
    ("unknown extensions", {"Sec_WebSocket_Extensions": "x-zip; level=9, x-y"}),
    ("a header of one's own", {"X_Own": "anything: \"goes\" here"}),
]  # fmt: skip


def ask(port, changes, drip=0):
    """Sends a request; gives the status, the headers and what comes behind."""
    sock = wire.dial(port)
    try:
        data = wire.request(port, **changes)
        for at in range(0, len(data), drip or len(data)):
            sock.sendall(data[at : at + (drip or len(data))])
        lines, rest = wire.read_head(sock)
        status = int(lines[0].split(" ")[1])
        found = wire.fields(lines)
        while status != 101 and (more := sock.recv(4096)):
            rest += more
        return status, found, rest
    finally:
        sock.close()


def try_requests(port):
    for what, status, changes in REQUESTS:
        got, found, body = ask(port, changes)
        if status is None:
            interop.check(400 <= got < 600, f"{what} is answered with {got}")
        else:
            interop.equal(got, status, f"{what} is answered with")
        if got == 426:
            interop.equal(found.get("sec-websocket-version"), "13", "426 tells version")
        length = int(found.get("content-length", -1))
        interop.equal(length, len(body), f"{what}: Content-Length is the body's")
    for what, changes in ACCEPTED:
        got, found, _ = ask(port, changes)
        interop.equal(got, 101, f"{what}: status")
        interop.check("sec-websocket-protocol" not in found, "no subprotocol chosen")
        interop.check("sec-websocket-extensions" not in found, "no extension chosen")
    same = {"Origin": f"http://127.0.0.1:{port}"}
    interop.equal(ask(port, same)[0], 101, "the server's own origin: status")
    interop.equal(ask(port, {}, drip=1)[0], 101, "a request byte by byte: status")


def try_frames_behind_the_request(port):
    sock = wire.dial(port)
    early = wire.encode(wire.TEXT, b"early")
    sock.sendall(wire.request(port) + early)
    lines, rest = wire.read_head(sock)
    end = wire.Wire(sock, True, rest)
    end.expect(wire.TEXT, b"early")
    interop.check(" 101 " in lines[0], "a frame in the same write as the request")
    end.close()


def key_of_other(found):
    return {"Sec_WebSocket_Accept": wire.accept_key("AAAAAAAAAAAAAAAAAAAAAA==")}


# What is wrong with a response: changes to it, or a function of the request.
RESPONSES = [
    ("status 200", {"first": "HTTP/1.1 200 OK"}),
    ("status 404", {"first": "HTTP/1.1 404 Not Found", "Content_Length": "0"}),
    ("a redirect", {"first": "HTTP/1.1 302 Found", "Location": "ws://127.0.0.1:1/",
                    "Content_Length": "0"}),
    ("status 100", {"first": "HTTP/1.1 100 Continue"}),
    ("HTTP/1.0", {"first": "HTTP/1.0 101 Switching Protocols"}),
    ("no HTTP at all", {"first": "SSH-2.0-example"}),
    ("no accept", {"Sec_WebSocket_Accept": None}),
    ("the accept of another key", key_of_other),
    ("an accept in another case",
     lambda f: {"Sec_WebSocket_Accept": wire.accept_key(f["sec-websocket-key"]).swapcase()}),
    ("no upgrade", {"Upgrade": None}),
    ("another upgrade", {"Upgrade": "h2c"}),
    ("no connection", {"Connection": None}),
    ("a subprotocol not asked for", {"Sec_WebSocket_Protocol": "chat"}),
    ("an extension not asked for", {"Sec_WebSocket_Extensions": "permessage-deflate"}),
]  # fmt: skip


def answer_once(listener, changes, heard):
    """Answers one client; notes all it says behind its request."""
    sock, _ = listener.accept()
    with sock:
        _, found, rest = wire.read_request(sock)
        if callable(changes):
            changes = changes(found)
        sock.sendall(wire.response(found, **changes))
        while True:
            heard.append(rest)
            try:
                rest = sock.recv(4096)
            except ConnectionError:
                return
            if not rest:
                return


def try_client(client, what, changes):
    """Gives the client's exit code and lines, and the bytes it sent."""
    listener, port = wire.listen()
    heard = []
    answering = threading.Thread(target=answer_once, args=[listener, changes, heard])
    answering.start()
    url = f"ws://127.0.0.1:{port}/"
    code, lines, said = interop.run_program(client, url, "line")
    answering.join()
    listener.close()
    return code, lines, b"".join(heard), said.strip()


def try_responses(client):
    for what, changes in RESPONSES:
        code, lines, heard, said = try_client(client, what, changes)
        interop.check(
            code == 1 and not lines and not heard and said,
            f"{what} is refused: exit code {code}, {said!r}, sent {heard!r}",
        )


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    interop.limit_time(110)
    with interop.Program(sys.argv[1], "--port", "0") as server:
        port = server.port()
        try_requests(port)
        try_frames_behind_the_request(port)
        interop.stop_well(server, "the server")
    try_responses(sys.argv[2])
    interop.finish()


if __name__ == "__main__":
    main()
