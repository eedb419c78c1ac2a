"""permessage-deflate (RFC 7692) with Chromium.

    compression_browser.py END      END is the program deflate_end

Chromium always offers the same: that it can limit its window. So it is tried
with every combination of what our server can be told, text and binary, and at
last with large messages, which the page makes itself: JSON, random and already
compressed.
"""

import asyncio
import base64
import json
import random
import sys
import tempfile
import websockets
import browser
import compression
import interop
from interop import check, equal

OFFER = {"client_max_window_bits": True}

# Sends `plan`, an array of strings and Uint8Arrays, and compares what comes back.
IN_PAGE = """
function bytesOf(text) { return Uint8Array.from(atob(text), c => c.charCodeAt()); }
function same(a, b) {
  if (typeof a === 'string' || typeof b === 'string')
    return a === b;
  const c = new Uint8Array(b);
  return a.length === c.length && a.every((byte, i) => byte === c[i]);
}
function exchange(url, plan) {
  return new Promise(resolve => {
    const ws = new WebSocket(url);
    let count = 0, wrong = 0;
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => ws.send(plan[0]);
    ws.onmessage = event => {
      wrong += !same(plan[count], event.data);
      if (++count < plan.length) ws.send(plan[count]);
      else ws.close(1000);
    };
    ws.onclose = event =>
      resolve([ws.extensions, count, wrong, event.code, event.wasClean]);
  });
}
var big;
async function large(size) {
  const random = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536)
    crypto.getRandomValues(random.subarray(at, at + 65536));
  const rows = [];
  for (let i = 0; i * 64 < size; i++)
    rows.push({ id: i, name: 'größer ' + i % 17, at: i / 7, on: i % 3 === 0 });
  const text = JSON.stringify(rows).slice(0, size * 0.95 | 0);
  const json = text + ' '.repeat(size - new TextEncoder().encode(text).length);
  const gzip = new Blob([json.slice(0, 1 << 20)]).stream()
    .pipeThrough(new CompressionStream('gzip'));
  const part = new Uint8Array(await new Response(gzip).arrayBuffer());
  const packed = random.map((_, i) => part[i % part.length]);
  return [json, random, packed, 'the last'];
}
"""


def in_javascript(plan):
    """A plan as an array that the page can read."""
    for kind, data in plan(random.Random(7692)):
        if kind == b"t":
            yield json.dumps(data.decode())
        else:
            yield f"bytesOf('{base64.b64encode(data).decode()}')"


async def try_one(page, end, port, own, plan, count):
    found = await page.run(f"exchange('ws://127.0.0.1:{port}/', {plan})")
    agreed = compression.ours(end)[0]
    answers = list(compression.parse(found[0]))
    wanted = compression.our_answer(OFFER, own)
    good = (
        answers == [(compression.NAME, wanted)]
        and agreed == compression.in_force("client", wanted, own)
        and found[1:] == [count, 0, 1000, True]
    )
    what = f"{compression.text_of(own)}: Chromium has {found}, we agreed on {agreed}"
    check(good, f"{what}; {wanted} and {count} messages were to be seen")


async def try_all(folder, end, settings):
    ports = [end.port() for _ in settings]
    options = {"max_size": None, "compression": None, "ping_interval": None}
    async with websockets.connect(browser.devtools(folder), **options) as tools:
        page = browser.Page(tools)
        # Even if it is not found, it is a page that may connect.
        await page.open(f"http://127.0.0.1:{ports[0]}/")
        await page.run(IN_PAGE)
        for plan in (compression.short_plan, compression.full_plan):
            messages = list(in_javascript(plan))
            await page.run(f"var {plan.__name__} = [{','.join(messages)}]; 0")
        short = len(list(in_javascript(compression.short_plan)))
        for own, port in zip(settings, ports):
            await try_one(page, end, port, own, "short_plan", short)
        for own, port in zip(settings[-2:], ports[-2:]):
            await try_one(page, end, port, own, "full_plan", len(messages))
        await page.run(f"large({compression.LARGE}).then(made => {{ big = made }})")
        sizes = "big.map(m => new Blob([m]).size)"
        equal((await page.run(sizes))[:3], [compression.LARGE] * 3, "sizes in the page")
        await try_one(page, end, ports[-1], settings[-1], "big", 4)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    interop.limit_time(280)
    settings = [*compression.OUR_SETTINGS, {"fragment": 1000}, {"level": 1}]
    told = map(compression.text_of, settings)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = ["chromium", *browser.FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with interop.Program(sys.argv[1], "server", *told) as end:
            with interop.Program(*command, home=folder):
                asyncio.run(try_all(folder, end, settings))
            end.end_input()
            equal(end.wait(), 0, f"our exit code {end.said()}")
    interop.finish()


if __name__ == "__main__":
    main()
