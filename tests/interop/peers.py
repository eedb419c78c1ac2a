"""Our servers and clients with somebody else's clients and servers.

    peers.py BIN PEER...    BIN is the folder of our programs, or several joined
                            by colons; PEER the command of a peer (see
                            peer_python.py); "python" and "ws" stand for those
                            that need no building

Everything is tried with the example servers and clients and with the program
nws, the latter with the limits it has by default but for the longest message.
"""

import os
import shutil
import sys
import interop
from interop import CLOSES, HERE, PYTHON, check, equal

PEERS = {
    "python": [PYTHON, "-B", os.path.join(HERE, "peer_python.py")],
    "ws": ["node", os.path.join(HERE, "peer_ws.mjs")],
}
LINES = ["one", "größer than two", "", "the last: 𝄞"]


def ours(bins, name):
    path = shutil.which(name, path=bins)
    if path is None:
        sys.exit(f"no program {name} in {bins}")
    return path


def relay(line, who):
    """Makes a check that a peer has told our own."""
    if line.startswith(("ok: ", "FAILED: ")):
        outcome, what = line.split(": ", 1)
        check(outcome == "ok", f"{who}: {what}")


def try_server(peer, who, command, subprotocol, scheme="ws"):
    with interop.Program(*command) as server:
        url = f"{scheme}://127.0.0.1:{server.port()}/"
        code, lines, said = interop.run_program(*peer, "client", url, subprotocol)
        for line in lines:
            relay(line, who)
        check(code == 0 and len(lines) > 20, f"{who}: all was tried {said}")
        with interop.Program(*peer, "wait", url) as waiting:
            waiting.expect("^open$")
            server.signal()
            told = waiting.expect("^closed").string.strip()
            equal(told, "closed 1001", f"{who}, stopped at SIGTERM, has")
        equal(server.wait(), 0, f"{who}: exit code")


def try_testee_client(peer, command, port):
    url = f"ws://127.0.0.1:{port}/suite"
    code, lines, said = interop.run_program(command, url, "--agent", "nws")
    if not check(code == 0, f"testee_client: exit code {code} {lines} {said}"):
        return
    told = peer.line()
    while told != "reports":
        relay(told, "testee_client")
        told = peer.line()


def try_client(peer, command, port):
    url = f"ws://127.0.0.1:{port}/echo?a=b"
    code, lines, said = interop.run_program(command, url, "größer")
    equal((code, lines), (0, ["größer"]), f"client: {said.strip()}")
    equal(peer.expect("^closed").string, "closed 1000 thanks", "client has")


def try_nws(peer, command, port, scheme="ws", more=()):
    url = f"{scheme}://127.0.0.1:{port}/echo"
    text = "".join(line + "\n" for line in LINES)
    for code, reason in CLOSES:
        options = ["--close", f"{code}:{reason}", "-s", "unknown", "-s", "chat"]
        got, lines, said = interop.run_program(
            command, "connect", "--wait", "1", *options, *more, url, input=text
        )
        equal((got, lines), (0, LINES), f"nws connect {said.strip()}")
        equal(peer.expect("^subprotocol").string, "subprotocol chat", "nws connect")
        told = peer.expect("^closed").string.strip()
        equal(told, f"closed {code} {reason}".strip(), "nws connect has")
    more = [option for option in more if not option.startswith("--deflate")]
    got, lines, said = interop.run_program(
        command, "ping", "-c", "3", "-i", "0.01", *more, url
    )
    check(got == 0, f"nws ping: exit code {got} {lines} {said}")


def try_clients(peer_command, bins):
    with interop.Program(*peer_command, "server") as peer:
        port = peer.port()
        try_testee_client(peer, ours(bins, "testee_client"), port)
        try_client(peer, ours(bins, "client"), port)
        try_nws(peer, ours(bins, "nws"), port)
        peer.end_input()
        equal(peer.wait(), 0, f"the peer's exit code {peer.said()}")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bins = sys.argv[1]
    peer = PEERS.get(sys.argv[2], sys.argv[2:])
    interop.limit_time(200)
    testee = [ours(bins, "testee_server"), "--port", "0"]
    serve = [ours(bins, "nws"), "serve", "--port", "0", "--max-message", "16M",
             "--subprotocol", "chat"]  # fmt: skip
    try_server(peer, "testee_server", testee, "-")
    try_server(peer, "nws serve", serve, "chat")
    try_clients(peer, bins)
    interop.finish()


if __name__ == "__main__":
    main()
