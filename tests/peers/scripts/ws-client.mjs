// ws as a client: over HTTP/1.1 as it is, and over HTTP/2 on a stream of Node's
// http2 with an Extended CONNECT of our own. RFC 8441 §5.
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { holdAll } from './conversations.mjs';
import { url, version, ca, only, report } from './arguments.mjs';

const WebSocket = createRequire(process.env.PEERS_NPM)('ws');
const trust = { ca: readFileSync(ca) };

if (version === '1.1') {
  await holdAll((path, subprotocols) => new WebSocket(url + path, subprotocols, trust), report, only);
} else {
  const session = http2.connect(url.replace(/^ws/, 'http'), trust);
  await once(session, 'remoteSettings');
  if (!session.remoteSettings.enableConnectProtocol) throw new Error('the server does not announce Extended CONNECT');
  await holdAll((path, subprotocols) => connect(session, path, subprotocols), report, only);
  session.destroy();
}

async function connect(session, path, subprotocols) {
  const stream = session.request({
    ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13',
    ...(subprotocols.length > 0 && { 'sec-websocket-protocol': subprotocols.join(', ') }),
  }, { endStream: false });
  const [headers] = await once(stream, 'response');
  if (headers[':status'] !== 200) {
    stream.close();
    throw new Error(`status ${headers[':status']}`);
  }
  const ws = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 30_000 });
  ws._isServer = false; // without a URL it is a server's
  ws._protocol = headers['sec-websocket-protocol'] ?? '';
  ws.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 16 << 20, skipUTF8Validation: false });
  ws.endWithClose = async () => {
    // ws would answer the answer.
    for (const event of ['data', 'end', 'error', 'close']) stream.removeAllListeners(event);
    let answer = '';
    stream.on('data', (data) => { answer += data.toString('hex'); });
    stream.on('error', () => {}); // 'close' follows
    stream.end(Buffer.from('88820000000003e8', 'hex')); // 1000, masked with zeros
    await new Promise((resolve) => { stream.on('close', resolve); });
    ws.terminate();
    return { answer, rstCode: stream.rstCode };
  };
  return ws;
}
