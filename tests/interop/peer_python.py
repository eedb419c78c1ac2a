"""A peer made with Python's websockets. All peers take the same arguments:

    client URL SUBPROTOCOL  tries an echo server with everything it has; the
                            server must choose SUBPROTOCOL, or none for "-"
    wait URL                connects, and tells how the server closes
    server                  is the test server of an echo client, at /suite/,
                            and an echo everywhere else

Without compression, so that it is the frames that meet, unless INTEROP_DEFLATE
is set. A client trusts INTEROP_CA, and a server speaks TLS with INTEROP_CERT, if
these are set: names of files.
"""

import asyncio
import os
import ssl
import sys
import urllib.parse
import websockets
from interop import CLOSES, SIZES, check, equal, finish, limit_time

DEFLATE = "INTEROP_DEFLATE" in os.environ
QUIET = {
    "compression": "deflate" if DEFLATE else None, "ping_interval": None,
    "max_size": None,
}  # fmt: skip
TRUST = {}
if "INTEROP_CA" in os.environ:
    TRUST = {"ssl": ssl.create_default_context(cafile=os.environ["INTEROP_CA"])}
MIB = 1 << 20


def text_of(size):
    """Text that takes so many bytes."""
    data = ("€uro " * (size // 7 + 1)).encode()[:size].decode("utf-8", "ignore")
    return data + "." * (size - len(data.encode()))


# --- What is tried, in either role ---


async def echo_sizes(ws):
    for size in SIZES:
        for message in (text_of(size), os.urandom(size)):
            await ws.send(message)
            kind = type(message).__name__
            check(await ws.recv() == message, f"{size} bytes of {kind} come back")


async def echo_fragments(ws):
    async def parts():
        yield "first, "
        pong = await ws.ping(b"between")
        await asyncio.wait_for(pong, 30)
        yield ""
        yield "größer"

    await ws.send(parts())
    equal(await ws.recv(), "first, größer", "fragments around a ping")
    data = os.urandom(4 * MIB)
    await ws.send([data[at : at + 64] for at in range(0, len(data), 64)])
    check(await ws.recv() == data, "4 MiB in fragments of 64 bytes")


async def ping(ws):
    for payload in (b"", b"Hello", bytes(range(125))):
        pong = await ws.ping(payload or None)
        await asyncio.wait_for(pong, 30)
    check(True, "pings are answered")


TRIES = [echo_sizes, echo_fragments, ping]


# --- Client ---


async def client(url, subprotocol):
    async with websockets.connect(url, **TRUST, **QUIET) as ws:
        equal(len(ws.extensions), int(DEFLATE), "extensions")
        for attempt in TRIES:
            await attempt(ws)
    offers = ["unknown", "chat"]
    async with websockets.connect(url, subprotocols=offers, **TRUST, **QUIET) as ws:
        equal(ws.subprotocol or "-", subprotocol, "subprotocol")
    for code, reason in CLOSES:
        ws = await websockets.connect(url, **TRUST, **QUIET)
        await ws.close(code, reason)
        equal(ws.close_code, code, f"close code in the answer to {code} {reason}")


async def wait(url):
    ws = await websockets.connect(url, **TRUST, **QUIET)
    print("open", flush=True)
    await ws.wait_closed()
    print("closed", ws.close_code, ws.close_reason, flush=True)


# --- Server ---


async def run_case(ws, number):
    if number <= len(TRIES):
        await TRIES[number - 1](ws)
        await ws.close()
    else:
        code, reason = CLOSES[number - 1 - len(TRIES)]
        await ws.close(code, reason)
        equal(ws.close_code, code, f"close code in the answer to {code} {reason}")


async def echo(ws):
    print("subprotocol", ws.subprotocol or "-", flush=True)
    if DEFLATE:
        print("extensions", *(x.name for x in ws.extensions), flush=True)
    try:
        async for message in ws:
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass
    print("closed", ws.close_code, ws.close_reason, flush=True)


async def server():
    async def serve(ws):
        url = urllib.parse.urlsplit(ws.path)
        if url.path == "/suite/getCaseCount":
            await ws.send(str(len(TRIES) + len(CLOSES)))
        elif url.path == "/suite/runCase":
            await run_case(ws, int(urllib.parse.parse_qs(url.query)["case"][0]))
        elif url.path == "/suite/updateReports":
            print("reports", flush=True)
        else:
            await echo(ws)

    options = {"subprotocols": ["chat"], **QUIET}
    if "INTEROP_CERT" in os.environ:
        options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        options["ssl"].load_cert_chain(os.environ["INTEROP_CERT"])
    async with websockets.serve(serve, "127.0.0.1", 0, **options) as listening:
        port = listening.sockets[0].getsockname()[1]
        print(f"listening on 127.0.0.1:{port}", flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.read)


def main():
    modes = {"client": client, "wait": wait, "server": server}
    if len(sys.argv) < 2 or sys.argv[1] not in modes:
        sys.exit(__doc__)
    limit_time(200)
    asyncio.run(modes[sys.argv[1]](*sys.argv[2:]))
    if sys.argv[1] != "wait":
        finish()


if __name__ == "__main__":
    main()
