"""Chromium with the page and the server of `nws serve`.

    browser.py NWS [tls]    the program nws; Chromium is `chromium` on the PATH

Drives the page as a person would, by its buttons, through Chromium's DevTools
(a WebSocket itself); then scripts of other pages try what the page has no
button for. Nothing outside this machine is asked for anything.
"""

import asyncio
import http.server
import itertools
import json
import os
import sys
import tempfile
import threading
import time
import websockets
import interop
from interop import check, equal

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
]  # fmt: skip


class Page:
    """A tab of the browser; evaluates JavaScript in it."""

    def __init__(self, tools):
        self.tools = tools
        self.ids = itertools.count(1)
        self.session = {}
        self.complaints = []

    async def ask(self, method, **params):
        number = next(self.ids)
        question = {"id": number, "method": method, "params": params, **self.session}
        await self.tools.send(json.dumps(question))
        while True:
            answer = json.loads(await asyncio.wait_for(self.tools.recv(), 60))
            self.listen(answer)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def listen(self, event):
        """Keeps what the page complains of: exceptions, and refused resources."""
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            if params["entry"]["level"] == "error":
                self.complaints.append(params["entry"]["text"])

    async def open(self, url):
        self.session = {}
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Runtime", "Log", "Page"):
            await self.ask(f"{domain}.enable")
        self.complaints.clear()
        await self.ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href", url)

    async def run(self, script):
        result = await self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, script, value):
        """Waits until the script has the value; gives what it had last."""
        end = time.monotonic() + interop.PATIENCE
        while (found := await self.run(script)) != value:
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.02)
        return found

    async def status(self, value, what):
        found = await self.until("document.querySelector('#status').textContent", value)
        return equal(found, value, f"{what}: #status")

    async def logged(self, text, what):
        """Waits until the last line of the log is this text."""
        last = "document.querySelector('#log').lastElementChild?.textContent"
        return equal(await self.until(last, text), text, f"{what}: #log")

    async def click(self, name):
        # A click on a button that is disabled does nothing, as with a mouse.
        await self.run(f"document.querySelector('#{name}').click()")

    async def fill(self, name, text):
        text = json.dumps(text)
        await self.run(f"void (document.querySelector('#{name}').value = {text})")


# --- The page of nws serve ---


async def try_page(page, url):
    await page.open(url)
    await page.status("open", "the page connects by itself")
    await page.fill("input", "größer 𝄞")
    await page.click("send")
    await page.logged("größer 𝄞", "a text comes back")
    await page.fill("input", "€")
    await page.click("send-binary")
    await page.logged("binary, 3 bytes: e2 82 ac", "bytes come back")
    await page.fill("close-code", "3000")
    await page.fill("close-reason", "genug")
    await page.click("close")
    await page.status("closed", "the page closes")
    await page.logged("closed: 3000", "the server answers with the same code")
    await page.click("connect")
    await page.status("open", "the page connects again")
    await page.fill("close-code", "1")
    await page.click("close")
    await page.status("open", "a code that may not be sent changes nothing")
    equal(page.complaints, [], "complaints of the page")


async def try_stopping(page, server):
    server.signal()
    await page.status("closed", "the server stops")
    await page.logged("closed: 1001", "the page sees the server's code")
    equal(server.wait(), 0, "exit code of nws serve")


# --- Scripts of one's own ---

ECHO = """
async (url, size, binary) => {
  const ws = new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  await new Promise((good, bad) => { ws.onopen = good; ws.onclose = bad; });
  const data = binary ? new Uint8Array(size).map((_, i) => i * 7) : '€'.repeat(size);
  const answer = new Promise((good, bad) => {
    ws.onmessage = event => good(event.data); ws.onclose = bad; });
  ws.send(data);
  const got = await answer;
  ws.close();
  if (!binary)
    return got === data;
  const bytes = new Uint8Array(got);
  return bytes.length === size && bytes.every((byte, i) => byte === data[i]);
}
"""

HOW = """
async (url, protocols) => {
  const ws = new WebSocket(url, protocols);
  return await new Promise(done => {
    ws.onopen = () => done('open ' + ws.protocol);
    ws.onclose = event => done('closed ' + event.code);
  });
}
"""


def call(function, *arguments):
    return f"({function})({', '.join(json.dumps(a) for a in arguments)})"


async def try_echo(page, url):
    for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
        good = await page.run(call(ECHO, url, size, True))
        check(good, f"{size} bytes come back to a script")
        good = await page.run(call(ECHO, url, size // 3, False))
        check(good, f"text of {size // 3} characters comes back to a script")


async def try_subprotocol(page, url):
    how = await page.run(call(HOW, url, ["unknown", "chat"]))
    equal(how, "open chat", "the server's subprotocol among those offered")


async def try_other_origins(page, nws, url, other):
    await page.open(other)
    how = await page.run(call(HOW, url, []))
    equal(how, "closed 1006", "a page of another origin")
    origin = other.rstrip("/")
    for allowed in (origin, f"https://example.org,{origin}", "any"):
        with interop.Program(nws, "serve", "--port", "0", "--origin", allowed) as server:
            how = await page.run(call(HOW, f"ws://127.0.0.1:{server.port()}/", []))
            equal(how, "open ", f"the same page where --origin is {allowed}")


# --- Programs ---


class Blank(http.server.BaseHTTPRequestHandler):
    """Another site: one empty page."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def devtools(folder):
    """Waits for Chromium to tell where it listens."""
    path = os.path.join(folder, "DevToolsActivePort")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if os.path.exists(path):
            with open(path) as told:
                lines = told.read().split("\n")
            if len(lines) == 2 and lines[1]:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise TimeoutError("Chromium does not tell its port")


async def try_all(folder, nws, other):
    options = {"max_size": None, "compression": None, "ping_interval": None}
    async with websockets.connect(devtools(folder), **options) as tools:
        page = Page(tools)
        serve = [nws, "serve", "--port", "0", "--max-message", "2M",
                 "--subprotocol", "chat"]  # fmt: skip
        with interop.Program(*serve) as server:
            port = server.port()
            url = f"ws://127.0.0.1:{port}/"
            await try_page(page, f"http://127.0.0.1:{port}/")
            await try_echo(page, url)
            await try_subprotocol(page, url)
            await try_other_origins(page, nws, url, other)
            await page.open(f"http://127.0.0.1:{port}/")
            await page.status("open", "the page once more")
            await try_stopping(page, server)


# --- TLS ---


async def try_secure(folder, port):
    options = {"max_size": None, "compression": None, "ping_interval": None}
    async with websockets.connect(devtools(folder), **options) as tools:
        page = Page(tools)
        await try_page(page, f"https://127.0.0.1:{port}/")
        await try_echo(page, f"wss://127.0.0.1:{port}/")


def over_tls(nws):
    """The key that the server tells is the only one that Chromium excuses."""
    serve = [nws, "serve", "--port", "0", "--max-message", "2M", "--self-signed",
             "--deflate"]  # fmt: skip
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        interop.Program(*serve) as server,
    ):
        port = server.port()
        key = server.expect("'sha256//(.*?)'").group(1)
        command = ["chromium", *FLAGS, f"--user-data-dir={folder}",
                   f"--ignore-certificate-errors-spki-list={key}", "about:blank"]  # fmt: skip
        with interop.Program(*command, home=folder):
            asyncio.run(try_secure(folder, port))
        interop.stop_well(server, "nws serve")
    interop.finish()


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["tls"]):
        sys.exit(__doc__)
    interop.limit_time(200)
    if sys.argv[2:]:
        over_tls(sys.argv[1])
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = ["chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with interop.Program(*command, home=folder):
            other = f"http://127.0.0.1:{site.server_address[1]}/"
            asyncio.run(try_all(folder, sys.argv[1], other))
    site.shutdown()
    interop.finish()


if __name__ == "__main__":
    main()
