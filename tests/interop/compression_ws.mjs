// A peer made with ws, for compression.py, which tells what the lines of its
// input and output are.
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';

const role = process.argv[2];
const plans = new Map();

// Read once for all connections in a row that send the same.
function messagesOf(path) {
  if (!plans.has(path)) {
    const bytes = readFileSync(path);
    const plan = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      plan.push([bytes[at] === 'b'.charCodeAt(), bytes.subarray(at + 5, end)]);
      at = end;
    }
    plans.clear();
    plans.set(path, plan);
  }
  return plans.get(path);
}

function readOrder(line) {
  return Object.fromEntries(line.split(' ').map(word => {
    const [name, value] = word.split('=');
    return [name, name === 'messages' ? value : Number(value)];
  }));
}

function settings(order) {
  const bits = order.client_bits;
  return {
    threshold: 0,
    serverNoContextTakeover: order.server_no ? true : undefined,
    clientNoContextTakeover: order.client_no ? true : undefined,
    serverMaxWindowBits: order.server_bits || undefined,
    // A client that is told nothing says that it can limit its window.
    clientMaxWindowBits: bits > 1 ? bits : role === 'client' ? bits === 1 :
      undefined,
    zlibDeflateOptions: { level: order.level, memLevel: order.mem },
  };
}

function send(ws, binary, data, fragment) {
  let at = 0;
  for (; fragment && data.length - at > fragment; at += fragment)
    ws.send(data.subarray(at, at + fragment), { binary, fin: false });
  ws.send(data.subarray(at), { binary, fin: true });
}

async function exchange(ws, order, told) {
  const closed = new Promise(resolve => ws.once('close', resolve));
  const answers = on(ws, 'message', { close: ['close'] });
  let wrong = 0, count = 0;
  console.log(`offer: ${told.offer ?? ''}\nanswer: ${told.answer ?? ''}`);
  for (const [binary, data] of messagesOf(order.messages)) {
    send(ws, binary, data, order.fragment);
    const { value, done } = await answers.next();
    if (done)
      throw new Error(`closed before the end, with ${await closed}`);
    const [got, isBinary] = value;
    wrong += isBinary !== binary || !got.equals(data);
    count++;
  }
  console.log(`done: ${count} ${wrong}`);
  ws.close(1000);
  await closed;
}

async function connect(order) {
  const told = {};
  const ws = new WebSocket(`ws://127.0.0.1:${order.port}/`, {
    perMessageDeflate: settings(order),
    finishRequest(request) {
      told.offer = request.getHeader('sec-websocket-extensions');
      request.end();
    },
  });
  ws.on('upgrade', response =>
    told.answer = response.headers['sec-websocket-extensions']);
  await once(ws, 'open');
  await exchange(ws, order, told);
}

const http = createServer();

async function accept(order) {
  const server = new WebSocketServer({ noServer: true,
    perMessageDeflate: settings(order) });
  const told = {};
  server.on('headers', headers => told.answer = headers.map(line =>
    /^Sec-WebSocket-Extensions: (.*)/i.exec(line)?.[1]).find(Boolean));
  const asked = once(http, 'upgrade');
  console.log('ready');
  const [request, socket, head] = await asked;
  told.offer = request.headers['sec-websocket-extensions'];
  const gone = once(socket, 'close');
  let ws;
  server.handleUpgrade(request, socket, head, made => ws = made);
  if (!ws) {
    await gone;
    throw new Error('the handshake was refused');
  }
  await exchange(ws, order, told);
}

if (role === 'server') {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  console.log(`listening on 127.0.0.1:${http.address().port}`);
}
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await (role === 'client' ? connect : accept)(readOrder(line));
  } catch (error) {
    console.log(`trouble: ${error.message}`);
  }
  console.log('end');
}
process.exit(0);
