// undici's WebSocket.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { holdAll } from './conversations.mjs';
import { url, version, ca, only, report } from './arguments.mjs';

const { Agent, WebSocket } = createRequire(process.env.PEERS_NPM)('undici');
const dispatcher = new Agent({ allowH2: version === '2', connect: { ca: readFileSync(ca) } });

await holdAll((path, protocols) => new WebSocket(url + path, { protocols, dispatcher }), report, only);
await dispatcher.destroy();
