"""permessage-deflate (RFC 7692) with peers that share no code with us.

    compression.py PEER SERVER CLIENT     the peer is python (websockets), ws (of
                                          Node.js) or browser (Chromium, a client
                                          only); then the example testees

Whatever the peer can ask for is asked for, in both roles. What was agreed upon
is read from the headers that the peer saw, so that a connection on which nothing
is compressed cannot pass; what is compared is the messages themselves.
"""

import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import zlib
import browser
import interop
from interop import HERE, check, equal

SIZES = [0, 1, 125, 126, 65535, 65536]
TAKEOVER = 200
OFFER = "permessage-deflate"


# --- What is sent ---


def rows(count, start=0):
    """JSON as an application would send it: much the same again and again."""
    made = (
        {"id": start + i, "name": f"größer {i % 17}", "on": i % 3 == 0, "at": i / 7}
        for i in range(count)
    )
    return json.dumps(list(made), ensure_ascii=False)


def messages():
    """The messages of one connection, the same for everybody: bytes or text."""
    dice = random.Random(7692)
    text = rows(20000)
    yield from (text.encode()[:size].decode("utf-8", "ignore") for size in SIZES)
    yield from (dice.randbytes(size) for size in SIZES)
    yield text.encode()[: 1 << 20].decode("utf-8", "ignore")
    yield dice.randbytes(1 << 20)
    yield zlib.compress(text.encode(), 9)
    yield from (rows(3, i) for i in range(TAKEOVER))


# --- What is asked for ---


def python_settings():
    """Parameters of websockets' factories: the flags, and windows of any size.

    Its zlib knows no window of 8 bits for sending, so that it can only ask for
    one of ours, as a client."""
    flags = [
        {"server_no_context_takeover": s, "client_no_context_takeover": c}
        for s, c in itertools.product((False, True), repeat=2)
    ]
    yield from flags
    for bits in range(9, 16):
        yield {"server_max_window_bits": bits}
        yield {"client_max_window_bits": bits}
    for both in flags:
        yield {**both, "server_max_window_bits": 9, "client_max_window_bits": 10}
    for level, memory in ((1, 1), (9, 9), (0, 8)):
        yield {"compress_settings": {"level": level, "memLevel": memory}}


def header(headers):
    return headers.get("Sec-WebSocket-Extensions", "")


def agreed(text, asked, who):
    """Checks an answer against what was asked for: each parameter that binds the
    server is in it, and the client's window, which all these clients limit."""
    names = dict(
        (part.strip().partition("=")[::2]) for part in text.split(";")[1:]
    )
    good = text.split(";")[0].strip() == OFFER
    if asked.get("server_no_context_takeover"):
        good = good and "server_no_context_takeover" in names
    bits = asked.get("server_max_window_bits")
    if bits:
        good = good and int(names.get("server_max_window_bits", 16)) <= bits
    limit = asked.get("client_max_window_bits")
    if limit and limit is not True:
        good = good and int(names.get("client_max_window_bits", 16)) <= limit
    return check(good, f"{who}: {asked} agrees on {text!r}")


# --- Python's websockets ---


async def exchange(ws, who):
    """Everything there is to send comes back, a few messages at a time."""
    wrong = 0
    sent = list(messages())
    for message in sent:
        await ws.send(message)
        wrong += await ws.recv() != message
    equal(wrong, 0, f"{who}: of {len(sent)} messages differ")


def python_options(factory):
    return {
        "compression": None, "extensions": [factory], "ping_interval": None,
        "max_size": None,
    }  # fmt: skip


async def python_client(url):
    import websockets
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    extra = [{"server_max_window_bits": 8}, {"client_max_window_bits": None}]
    for asked in [*python_settings(), *extra]:
        factory = ClientPerMessageDeflateFactory(**asked)
        async with websockets.connect(url, **python_options(factory)) as ws:
            who = "websockets to testee_server"
            agreed(header(ws.response_headers), asked, who)
            await exchange(ws, who)


async def python_server(client):
    import websockets
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    for asked in python_settings():
        seen = []

        async def serve(ws, asked=asked, seen=seen):
            if ws.path == "/getCaseCount":
                await ws.send("1")
            elif ws.path.startswith("/runCase"):
                who = "websockets from testee_client"
                check(header(ws.request_headers).startswith(OFFER), f"{who}: offered")
                agreed(header(ws.response_headers), asked, who)
                await exchange(ws, who)
                seen.append(ws.path)

        factory = ServerPerMessageDeflateFactory(**asked)
        options = python_options(factory)
        async with websockets.serve(serve, "127.0.0.1", 0, **options) as listening:
            port = listening.sockets[0].getsockname()[1]
            process = await asyncio.create_subprocess_exec(client, f"ws://127.0.0.1:{port}")
            equal(await process.wait(), 0, "testee_client's exit code")
        equal(len(seen), 1, "connections on which all was tried")


# --- ws of Node.js, and Chromium ---


def write_messages(folder):
    """The messages as a file that other languages can read."""
    path = os.path.join(folder, "messages.json")
    with open(path, "w") as file:
        told = (
            ["text", m.encode().hex()] if isinstance(m, str) else ["binary", m.hex()]
            for m in messages()
        )
        json.dump(list(told), file)
    return path


def relay(lines):
    for line in lines:
        if line.startswith(("ok: ", "FAILED: ")):
            outcome, what = line.split(": ", 1)
            check(outcome == "ok", what)


def try_ws(mode, *args):
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(HERE, "compression_ws.mjs")
        path = write_messages(folder)
        code, lines, said = interop.run_program("node", script, mode, path, *args)
        relay(lines)
        check(code == 0 and len(lines) > 20, f"ws as {mode}: all was tried {said}")


IN_PAGE = """new Promise(resolve => {
  const ws = new WebSocket(%s), sent = %s;
  let at = 0, wrong = 0;
  ws.onopen = () => ws.send(sent[0]);
  ws.onmessage = event => {
    wrong += event.data !== sent[at];
    if (++at < sent.length) ws.send(sent[at]);
    else { ws.close(); resolve([ws.extensions, at, wrong]); }
  };
  ws.onclose = () => resolve(['closed', at, wrong]);
})"""


async def in_chromium(folder, url):
    import websockets

    options = {"max_size": None, "compression": None, "ping_interval": None}
    sent = [m for m in messages() if isinstance(m, str)]
    async with websockets.connect(browser.devtools(folder), **options) as tools:
        page = browser.Page(tools)
        # Even if it is not found, it is a page of the server's own origin.
        await page.open(url.replace("ws:", "http:"))
        script = IN_PAGE % (json.dumps(url), json.dumps(sent))
        extensions, count, wrong = await page.run(script)
        check(extensions.startswith(OFFER), f"Chromium agrees on {extensions!r}")
        equal((count, wrong), (len(sent), 0), "messages back in Chromium, wrong ones")


def try_browser(url):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = [*browser.FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with interop.Program("chromium", *flags, home=folder):
            asyncio.run(in_chromium(folder, url))


# --- All ---


def main():
    args = sys.argv[1:]
    if len(args) != 3 or args[0] not in ("python", "ws", "browser"):
        sys.exit(__doc__)
    interop.limit_time(280)
    with interop.Program(args[1], "--port", "0") as server:
        url = f"ws://127.0.0.1:{server.port()}/"
        if args[0] == "python":
            asyncio.run(python_client(url))
        elif args[0] == "ws":
            try_ws("client", url)
        else:
            try_browser(url)
        interop.stop_well(server, "testee_server")
    if args[0] == "python":
        asyncio.run(python_server(args[2]))
    elif args[0] == "ws":
        try_ws("server", args[2])
    interop.finish()


if __name__ == "__main__":
    main()
