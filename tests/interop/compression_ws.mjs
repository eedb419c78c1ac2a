// The part of compression.py that runs in Node.js, with ws:
//
//     compression_ws.mjs client MESSAGES URL       URL is an echo server
//     compression_ws.mjs server MESSAGES PROGRAM   PROGRAM is an echo client of
//                                                  test servers
//
// MESSAGES is what to send: pairs of "text" or "binary" and the bytes in hex.
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { WebSocket, WebSocketServer } from 'ws';

const [mode, path, target] = process.argv.slice(2);
const messages = JSON.parse(readFileSync(path)).map(
  ([kind, hex]) => [kind === 'binary', Buffer.from(hex, 'hex')]);
let failed = 0;

function check(good, what) {
  failed += !good;
  console.log(`${good ? 'ok' : 'FAILED'}: ${what}`);
}

// What ws can be asked for. Node's zlib takes windows from 8 on and makes 9 of
// 8, so that 8 is for what we send alone.
function* settings() {
  for (const serverNoContextTakeover of [false, true]) {
    for (const clientNoContextTakeover of [false, true])
      yield { serverNoContextTakeover, clientNoContextTakeover };
  }
  for (let bits = 9; bits <= 15; bits++) {
    yield { serverMaxWindowBits: bits };
    yield { clientMaxWindowBits: bits };
  }
  yield { serverMaxWindowBits: 9, clientMaxWindowBits: 10,
    serverNoContextTakeover: true, clientNoContextTakeover: true };
  for (const [level, memLevel] of [[1, 1], [9, 9]])
    yield { zlibDeflateOptions: { level, memLevel } };
  if (mode === 'client')
    yield { serverMaxWindowBits: 8 };
}

async function exchange(ws, who) {
  let wrong = 0;
  const answers = on(ws, 'message', { close: ['close'] });
  for (const [binary, data] of messages) {
    ws.send(data, { binary });
    const { value, done } = await answers.next();
    if (done)
      return check(false, `${who}: closed before the end`);
    const [got, isBinary] = value;
    wrong += isBinary !== binary || !got.equals(data);
  }
  check(wrong === 0, `${who}: ${messages.length} messages, ${wrong} differ`);
}

function agreed(ws, answer, asked, who) {
  const told = `${who}: ${JSON.stringify(asked)} agrees on ${answer}`;
  const bits = name => Number(RegExp(`${name}=(\\d+)`).exec(answer)?.[1] ?? 15);
  check(ws.extensions.includes('permessage-deflate') &&
    /^permessage-deflate(;|$)/.test(answer) &&
    (!asked.serverNoContextTakeover || /server_no_con/.test(answer)) &&
    bits('server_max_window_bits') <= (asked.serverMaxWindowBits ?? 15), told);
}

async function tryClient(asked) {
  const ws = new WebSocket(target,
    { perMessageDeflate: { threshold: 0, ...asked } });
  let answer;
  ws.on('upgrade', response =>
    answer = response.headers['sec-websocket-extensions']);
  await once(ws, 'open');
  agreed(ws, answer, asked, 'ws to testee_server');
  await exchange(ws, 'ws to testee_server');
  const closed = once(ws, 'close');
  ws.close(1000);
  await closed;
}

async function tryServer(asked) {
  const listening = new WebSocketServer({ host: '127.0.0.1', port: 0,
    perMessageDeflate: { threshold: 0, ...asked } });
  let answer;
  let tried = 0;
  listening.on('headers', headers => answer = headers.map(line =>
    /^Sec-WebSocket-Extensions: (.*)/i.exec(line)?.[1]).find(Boolean) ?? '');
  listening.on('connection', async (ws, request) => {
    ws.on('error', error => check(false, String(error)));
    if (request.url === '/getCaseCount') {
      ws.send('1');
    } else if (request.url.startsWith('/runCase')) {
      agreed(ws, answer, asked, 'ws from testee_client');
      await exchange(ws, 'ws from testee_client');
      tried++;
    }
    ws.close(1000);
  });
  await once(listening, 'listening');
  const url = `ws://127.0.0.1:${listening.address().port}`;
  const [code] = await once(spawn(target, [url]), 'exit');
  check(code === 0 && tried === 1, `testee_client's exit code ${code}`);
  listening.close();
}

setTimeout(() => { throw new Error('not done in time'); }, 250000).unref();
for (const asked of settings())
  await (mode === 'client' ? tryClient : tryServer)(asked);
process.exit(failed ? 1 : 0);
