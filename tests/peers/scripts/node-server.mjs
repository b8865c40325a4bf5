// A server that keeps the contract of ../doc.go: Node's http2 and http, with the
// frames of ws. The transport is the point, and Node's is of its own making.
//
//   node node-server.mjs ws|wss|h2c [CERT KEY]
//
// It prints "listening PORT", and a line of JSON when a connection has ended.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { createRequire } from 'node:module';

const { WebSocket, WebSocketServer } = createRequire(process.env.PEERS_NPM)('ws');

const [mode, cert, key] = process.argv.slice(2);
const server = {
  ws: () => http.createServer(),
  h2c: () => http2.createServer({ settings: { enableConnectProtocol: true } }),
  wss: () => http2.createSecureServer({
    cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: true, settings: { enableConnectProtocol: true },
  }),
}[mode]();

// HTTP/1.1
const upgrades = new WebSocketServer({ noServer: true, handleProtocols: (offered) => offered.has('chat') && 'chat' });
server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/missing') {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  upgrades.handleUpgrade(request, socket, head, (ws) => serve(ws, url, request.httpVersion, () => socket.destroy()));
});

// HTTP/2: https://www.rfc-editor.org/rfc/rfc8441.html#section-5
server.on('stream', (stream, headers) => {
  const url = new URL(headers[':path'], 'http://localhost');
  if (headers[':method'] !== 'CONNECT' || headers[':protocol'] !== 'websocket' || url.pathname === '/missing') {
    stream.respond({ ':status': 404 }, { endStream: true });
    return;
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const chosen = offered.includes('chat') ? { 'sec-websocket-protocol': 'chat' } : {};
  stream.respond({ ':status': 200, ...chosen });
  const ws = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 30000 });
  ws.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 16 << 20, skipUTF8Validation: false });
  serve(ws, url, '2', () => stream.close(http2.constants.NGHTTP2_CANCEL));
});

function serve(ws, url, httpVersion, drop) {
  const query = url.searchParams;
  const conversation = query.get('conversation');
  ws.on('error', () => {}); // 'close' follows
  ws.on('close', (code, reason) => {
    console.log(JSON.stringify({ conversation, httpVersion, code, reason: reason.toString() }));
  });
  switch (url.pathname) {
    case '/echo':
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
      break;
    case '/fragments':
      ws.send('one ', { fin: false });
      ws.send('two ', { fin: false });
      ws.send('three', { fin: true });
      break;
    case '/ping':
      ws.on('pong', (data) => ws.send(data.toString() === 'application data' ? 'pong' : 'another pong'));
      ws.ping('application data');
      break;
    case '/close':
      ws.close(Number(query.get('code')), query.get('reason'));
      break;
    case '/drop':
      ws.on('message', drop);
      break;
  }
}

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
