"""A peer made with Python's websockets, for compression.py, which tells what the
lines of its input and output are."""

import asyncio
import sys
import websockets
from websockets.extensions import permessage_deflate

FACTORIES = {
    "client": permessage_deflate.ClientPerMessageDeflateFactory,
    "server": permessage_deflate.ServerPerMessageDeflateFactory,
}
OPTIONS = {"compression": None, "ping_interval": None, "max_size": None}
plans = {}


def messages_of(path):
    """Read once for all connections in a row that send the same."""
    if path not in plans:
        plans.clear()
        with open(path, "rb") as file:
            data = file.read()
        plans[path], at = [], 0
        while at < len(data):
            start = at + 5
            end = start + int.from_bytes(data[at + 1 : start], "big")
            message = data[start:end]
            plans[path].append(message.decode() if data[at : at + 1] == b"t" else message)
            at = end
    return plans[path]


def read_order(line):
    order = dict(word.split("=", 1) for word in line.split())
    return {k: v if k == "messages" else int(v) for k, v in order.items()}


def factory_of(role, order):
    client = {0: None, 1: True}.get(order["client_bits"], order["client_bits"])
    return FACTORIES[role](
        bool(order["server_no"]),
        bool(order["client_no"]),
        order["server_bits"] or None,
        client,
        {"level": order["level"], "memLevel": order["mem"]},
    )


def in_pieces(message, size):
    """A list is sent as fragments."""
    if not size or len(message) <= size:
        return message
    return [message[at : at + size] for at in range(0, len(message), size)]


def tell(what, text):
    print(f"{what}: {text}", flush=True)


async def exchange(ws, order):
    wrong = count = 0
    tell("offer", ws.request_headers.get("Sec-WebSocket-Extensions", ""))
    tell("answer", ws.response_headers.get("Sec-WebSocket-Extensions", ""))
    for message in messages_of(order["messages"]):
        await ws.send(in_pieces(message, order["fragment"]))
        wrong += await ws.recv() != message
        count += 1
    tell("done", f"{count} {wrong}")
    await ws.close()


async def connect(order):
    url = f"ws://127.0.0.1:{order['port']}/"
    factory = factory_of("client", order)
    async with websockets.connect(url, **OPTIONS, extensions=[factory]) as ws:
        await exchange(ws, order)


class Server:
    """Takes one connection at a time, each with parameters of its own."""

    def __init__(self):
        self.factories = []
        self.order = None
        self.over = None

    async def serve(self, ws):
        try:
            await exchange(ws, self.order)
            self.over.set_result(None)
        except Exception as error:
            self.over.set_exception(error)

    async def start(self):
        listening = await websockets.serve(
            self.serve, "127.0.0.1", 0, **OPTIONS, extensions=self.factories
        )
        port = listening.sockets[0].getsockname()[1]
        print(f"listening on 127.0.0.1:{port}", flush=True)

    async def accept(self, order):
        self.order = order
        self.over = asyncio.get_running_loop().create_future()
        self.factories[:] = [factory_of("server", order)]
        print("ready", flush=True)
        await asyncio.wait_for(self.over, 100)


async def main(role):
    server = Server()
    if role == "server":
        await server.start()
    handle = server.accept if role == "server" else connect
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            await handle(read_order(line))
        except Exception as error:
            tell("trouble", repr(error))
        print("end", flush=True)


asyncio.run(main(sys.argv[1]))
