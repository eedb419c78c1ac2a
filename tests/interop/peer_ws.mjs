// A peer made with ws, the WebSocket library of Node.js. The arguments and what
// is tried are those of peer_python.py; sizes and close codes are told by the
// environment (INTEROP_SIZES, INTEROP_CLOSES), so that they stand in one place.
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createPlain } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { WebSocket, WebSocketServer } from 'ws';

const sizes = process.env.INTEROP_SIZES.split(',').map(Number);
const closes = process.env.INTEROP_CLOSES.split(',').map(pair => pair.split(':'))
  .map(([code, reason]) => [Number(code), reason]);
const deflate = 'INTEROP_DEFLATE' in process.env;
const quiet = { perMessageDeflate: deflate };
const file = name => name in process.env && readFileSync(process.env[name]);
const trust = file('INTEROP_CA') || undefined;
const identity = file('INTEROP_CERT');
const mib = 1 << 20;
let passed = 0;
let failed = 0;

function check(good, what) {
  good ? passed++ : failed++;
  console.log(`${good ? 'ok' : 'FAILED'}: ${what}`);
}

function equal(found, expected, what) {
  check(found === expected, `${what}: ${found}` +
    (found === expected ? '' : ` and not ${expected}`));
}

function textOf(size) {
  const bytes = Buffer.alloc(size, '.');
  Buffer.from('€uro '.repeat(size / 7)).copy(bytes);
  return bytes;
}

// The next message: [bytes, isBinary].
async function next(ws) {
  const [data, isBinary] = await once(ws, 'message');
  return [data, isBinary];
}

async function echoes(ws, data, binary, send) {
  const answer = next(ws);
  send();
  const [got, isBinary] = await answer;
  return isBinary === binary && got.equals(data);
}

// --- What is tried, in either role ---

async function echoSizes(ws) {
  for (const size of sizes) {
    for (const binary of [false, true]) {
      const data = binary ? randomBytes(size) : textOf(size);
      const good = await echoes(ws, data, binary, () => ws.send(data, { binary }));
      check(good, `${size} bytes of ${binary ? 'binary' : 'text'} come back`);
    }
  }
}

function sendFragments(ws, parts, binary) {
  parts.forEach((part, at) =>
    ws.send(part, { binary, fin: at === parts.length - 1 }));
}

async function echoFragments(ws) {
  const parts = ['first, ', '', 'größer'].map(part => Buffer.from(part));
  let good = await echoes(ws, Buffer.concat(parts), false, () => {
    ws.send(parts[0], { binary: false, fin: false });
    ws.ping('between');
    sendFragments(ws, parts.slice(1), false);
  });
  check(good, 'fragments around a ping');
  // Each fragment that is compressed is a task of its own for ws.
  const data = randomBytes(deflate ? mib / 8 : 4 * mib);
  const pieces = [];
  for (let at = 0; at < data.length; at += 64)
    pieces.push(data.subarray(at, at + 64));
  good = await echoes(ws, data, true, () => sendFragments(ws, pieces, true));
  check(good, `${data.length >> 10} KiB in fragments of 64 bytes`);
}

async function ping(ws) {
  for (const payload of ['', 'Hello', '*'.repeat(125)]) {
    const pong = once(ws, 'pong');
    ws.ping(payload);
    equal(String((await pong)[0]), payload, 'pong');
  }
}

const tries = [echoSizes, echoFragments, ping];

async function closeWith(ws, code, reason) {
  const closed = once(ws, 'close');
  ws.close(code, reason);
  return await closed;
}

async function tryClose(ws, [code, reason]) {
  const [answer] = await closeWith(ws, code, reason);
  equal(answer, code, `close code in the answer to ${code} ${reason}`);
}

// --- Client ---

async function open(url, protocols = []) {
  const ws = new WebSocket(url, protocols, { ca: trust, ...quiet });
  await once(ws, 'open');
  return ws;
}

async function client(url, subprotocol) {
  const ws = await open(url);
  equal(ws.extensions, deflate ? 'permessage-deflate' : '', 'extensions');
  for (const attempt of tries)
    await attempt(ws);
  await closeWith(ws, 1000);
  // ws takes it for an error when none of its offers is chosen.
  const chosen = await open(url, subprotocol === '-' ? [] : ['unknown', 'chat']);
  equal(chosen.protocol || '-', subprotocol, 'subprotocol');
  await closeWith(chosen, 1000);
  for (const close of closes)
    await tryClose(await open(url), close);
}

async function wait(url) {
  const ws = await open(url);
  console.log('open');
  const [code, reason] = await once(ws, 'close');
  console.log('closed', code, String(reason));
}

// --- Server ---

async function runCase(ws, number) {
  if (number > tries.length)
    return await tryClose(ws, closes[number - 1 - tries.length]);
  await tries[number - 1](ws);
  await closeWith(ws, 1000);
}

function echo(ws) {
  console.log('subprotocol', ws.protocol || '-');
  if (deflate)
    console.log('extensions', ws.extensions);
  ws.on('message', (data, binary) => ws.send(data, { binary }));
  ws.on('close', (code, reason) => console.log('closed', code, String(reason)));
}

async function serveSuite(ws, url) {
  if (url.pathname === '/suite/runCase')
    return await runCase(ws, Number(url.searchParams.get('case')));
  if (url.pathname === '/suite/getCaseCount')
    ws.send(String(tries.length + closes.length));
  else
    console.log('reports');
  ws.close();
}

async function server() {
  const http = identity ?
    createSecure({ cert: identity, key: identity }) : createPlain();
  const listening = new WebSocketServer({
    server: http,
    handleProtocols: offers => (offers.has('chat') ? 'chat' : false),
    ...quiet,
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  console.log(`listening on 127.0.0.1:${http.address().port}`);
  listening.on('connection', (ws, request) => {
    const url = new URL(request.url, 'ws://localhost');
    ws.on('error', error => check(false, String(error)));
    if (url.pathname.startsWith('/suite/'))
      serveSuite(ws, url).catch(error => check(false, String(error)));
    else
      echo(ws);
  });
  process.stdin.resume();
  await once(process.stdin, 'end');
  listening.close();
  http.close();
}

const modes = { client, wait, server };
const [mode, ...rest] = process.argv.slice(2);
setTimeout(() => { throw new Error('not done in time'); }, 200000).unref();
await modes[mode](...rest);
if (mode !== 'wait') {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}
