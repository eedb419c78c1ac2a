"""nws over TLS with somebody else's clients and servers, without and with
compression.

    tls.py NWS PEER     the program nws; the peer is python (websockets) or ws (of
                        Node.js), as in peers.py

Everybody verifies everybody: certificates are signed by a root of the test's own.
"""

import os
import sys
import tempfile
import interop
import peers
from interop import HERE, equal

sys.path.append(os.path.join(os.path.dirname(HERE), "cli"))
from cli_certs import Cert  # noqa: E402


def try_servers(peer, nws, cert, how):
    serve = [nws, "serve", "--port", "0", "--max-message", "16M", "--subprotocol",
             "chat", "--cert", cert.file, *how]  # fmt: skip
    peers.try_server(peer, " ".join(["nws serve over TLS", *how]), serve, "chat", "wss")


def try_clients(peer, nws, root, how):
    with interop.Program(*peer, "server") as server:
        port = server.port()
        peers.try_nws(server, nws, port, "wss", ["--ca", str(root.alone), *how])
        if "INTEROP_DEFLATE" in os.environ:
            command = [nws, "connect", "--wait", "1", "--ca", root.alone, *how]
            code, lines, said = interop.run_program(
                *command, f"wss://127.0.0.1:{port}/echo", input="again " * 100 + "\n"
            )
            equal((code, lines), (0, ["again " * 100]), f"nws connect {said}")
            # Pings before this had none.
            told = server.expect("^extensions .").string
            equal(told, "extensions permessage-deflate", "agreed upon")
        server.end_input()
        told = server.expect("passed").string
        equal(told, "0 passed, 0 failed", f"the peer tried nothing {server.said()}")


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in peers.PEERS:
        sys.exit(__doc__)
    nws, peer = sys.argv[1], peers.PEERS[sys.argv[2]]
    interop.limit_time(280)
    with tempfile.TemporaryDirectory() as folder:
        root = Cert(folder, "Test root", root=True)
        cert = Cert(folder, "server", "IP:127.0.0.1", issuer=root)
        os.environ["INTEROP_CA"] = str(root.alone)
        os.environ["INTEROP_CERT"] = str(cert.file)
        for how in (["--deflate=off"], ["--deflate"]):
            if how == ["--deflate"]:
                os.environ["INTEROP_DEFLATE"] = "1"
            try_servers(peer, nws, cert, how)
            try_clients(peer, nws, root, how)
    interop.finish()


if __name__ == "__main__":
    main()
