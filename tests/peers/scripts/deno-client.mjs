// Deno's WebSocket. It goes over HTTP/2 where the server has no HTTP/1.1.
import { holdAll } from './conversations.mjs';
import { url, only, report } from './arguments.mjs';

await holdAll((path, protocols) => new WebSocket(url + path, protocols), report, only);
