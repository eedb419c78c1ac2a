"""permessage-deflate (RFC 7692) in the example testees.

    compression_testees.py SERVER CLIENT    testee_server and testee_client

That they take it and offer it, and keep to it, with Python's websockets; all
that can be agreed upon is tried by compression.py.
"""

import asyncio
import random
import sys
import websockets
from websockets.extensions import permessage_deflate
import compression
import interop
from interop import check, equal

OPTIONS = {"compression": None, "ping_interval": None, "max_size": None}
ASKED = [(False, False, None, None), (True, True, 9, 10)]


def messages():
    for plan in (compression.short_plan, compression.full_plan):
        for kind, data in plan(random.Random(7692)):
            yield data.decode() if kind == b"t" else data


async def exchange(ws, asked, who):
    answer = ws.response_headers.get("Sec-WebSocket-Extensions", "")
    named = [name for name, _ in compression.parse(answer)]
    equal(named, [compression.NAME], f"{who}: {asked} has {answer!r}")
    wrong = count = 0
    for message in messages():
        await ws.send(message)
        wrong += await ws.recv() != message
        count += 1
    check(count > 1000 and not wrong, f"{who}: {count} messages, {wrong} differ")


async def try_server(url):
    for asked in ASKED:
        factory = permessage_deflate.ClientPerMessageDeflateFactory(*asked)
        async with websockets.connect(url, **OPTIONS, extensions=[factory]) as ws:
            await exchange(ws, asked, "testee_server")


async def try_client(client):
    for asked in ASKED:
        seen = []

        async def serve(ws, asked=asked, seen=seen):
            if ws.path == "/getCaseCount":
                await ws.send("1")
            elif ws.path.startswith("/runCase"):
                await exchange(ws, asked, "testee_client")
                seen.append(ws.path)

        factory = permessage_deflate.ServerPerMessageDeflateFactory(*asked)
        async with websockets.serve(
            serve, "127.0.0.1", 0, **OPTIONS, extensions=[factory]
        ) as listening:
            port = listening.sockets[0].getsockname()[1]
            process = await asyncio.create_subprocess_exec(client, f"ws://127.0.0.1:{port}")
            equal(await process.wait(), 0, "testee_client's exit code")
        equal(len(seen), 1, "connections on which all was tried")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    interop.limit_time(280)
    with interop.Program(sys.argv[1], "--port", "0") as server:
        asyncio.run(try_server(f"ws://127.0.0.1:{server.port()}/"))
        interop.stop_well(server, "testee_server")
    asyncio.run(try_client(sys.argv[2]))
    interop.finish()


if __name__ == "__main__":
    main()
