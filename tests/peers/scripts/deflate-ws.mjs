// ws with permessage-deflate. Each end of its own sends messages back in a manner of
// ../deflated.
//
//   node deflate-ws.mjs serve FILE   FILE: [OPTIONS...]
//   node deflate-ws.mjs dial FILE    FILE: [{"url", "options", "manner"}...]
//
// serve prints "listening ADDRESSES", for each of the options what is before /MANNER.
// dial holds one connection after the other, and prints {"error"} of one that was not
// opened.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const { WebSocket, WebSocketServer } = createRequire(process.env.PEERS_NPM)('ws');

const maxPayload = 16 << 20;
const [mode, file] = process.argv.slice(2);
const list = JSON.parse(readFileSync(file));

const fragmentSize = { fragments: 1000, between: 5000 };

// answer sends back each message that ws receives.
function answer(ws, manner) {
  let count = 0;
  ws.on('error', () => {}); // 'close' follows
  ws.on('message', (data, binary) => {
    count += 1;
    switch (manner) {
      case 'fragments':
      case 'between': {
        const size = fragmentSize[manner];
        for (let i = 0; i === 0 || i < data.length; i += size) {
          if (i > 0 && manner === 'between') ws.ping('between');
          ws.send(data.subarray(i, i + size), { binary, compress: true, fin: i + size >= data.length });
        }
        break;
      }
      case 'pings':
        ws.ping('between');
        ws.send(data, { binary });
        break;
      case 'in-turn':
        ws.send(data, { binary, compress: count % 2 === 0 });
        break;
      case 'as-text':
        ws.send(data, { binary: false });
        break;
      default:
        ws.send(data, { binary });
    }
  });
}

// deflate is for messages of any length.
const deflate = (options) => ({ threshold: 0, ...options });

if (mode === 'serve') {
  const servers = list.map((options) => new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: deflate(options) }));
  const server = http.createServer();
  server.on('upgrade', (request, socket, head) => {
    const [, i, manner] = request.url.split('/');
    servers[i].handleUpgrade(request, socket, head, (ws) => answer(ws, manner));
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    console.log(`listening ${JSON.stringify(list.map((_, i) => `127.0.0.1:${port}/${i}`))}`);
  });
} else {
  for (const { url, options, manner } of list) {
    const ws = new WebSocket(url, { maxPayload, perMessageDeflate: deflate(options) });
    answer(ws, manner);
    ws.on('error', (error) => { if (!ws.extensions) console.log(JSON.stringify({ url, error: String(error) })); });
    await new Promise((resolve) => { ws.on('close', resolve); });
  }
}
