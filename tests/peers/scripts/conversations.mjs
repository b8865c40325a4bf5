// The conversations of ../conversations_test.go, held by a client in JavaScript with
// our server: WHATWG's WebSocket of a browser, Deno or undici, or that of ws.

class Failure extends Error {}
class Cannot extends Error {}

// An End is a WebSocket whose events can be waited for one after the other.
class End {
  #events = [];
  #waiting = null;

  constructor(ws) {
    this.ws = ws;
    ws.binaryType = 'arraybuffer';
    for (const type of ['open', 'message', 'error', 'close']) {
      ws.addEventListener(type, (event) => this.#put({
        type, data: event.data, code: event.code, reason: event.reason, wasClean: event.wasClean,
      }));
    }
  }

  #put(event) {
    this.#events.push(event);
    this.#waiting?.();
  }

  async next() {
    while (this.#events.length === 0) await new Promise((resolve) => { this.#waiting = resolve; });
    return this.#events.shift();
  }

  async wantOpen() {
    if (this.ws.readyState === 1) return; // ws over a stream that is there
    const event = await this.next();
    if (event.type !== 'open') throw new Failure(`opening handshake: got ${event.type} ${event.code ?? ''} ${event.reason ?? ''}`);
  }

  async wantMessage(sentence, want) {
    const event = await this.next();
    if (event.type !== 'message') throw new Failure(`${sentence}: got ${event.type} ${event.code ?? ''} ${event.reason ?? ''}`);
    if (!same(event.data, want)) throw new Failure(`${sentence}: got ${show(event.data)}, want ${show(want)}`);
  }

  // wantClose waits for the close event. An error event before it is the platform's
  // way to say that it is not clean.
  async wantClose(sentence, code, reason, wasClean) {
    let event = await this.next();
    if (event.type === 'error' && !wasClean) event = await this.next();
    if (event.type !== 'close') throw new Failure(`${sentence}: got ${event.type}`);
    if (event.code !== code || event.reason !== reason || event.wasClean !== wasClean) {
      throw new Failure(`${sentence}: got ${event.code} "${event.reason}", clean ${event.wasClean}; want ${code} "${reason}", clean ${wasClean}`);
    }
  }

  async close(code = 1000, reason = '') {
    this.ws.close(code, reason);
    await this.wantClose('the server answers the Close frame', code, reason, true);
  }
}

function same(got, want) {
  if (typeof got === 'string' || typeof want === 'string') return got === want;
  const a = new Uint8Array(got);
  return a.length === want.length && a.every((byte, i) => byte === want[i]);
}

function show(data) {
  if (typeof data === 'string') return `text of ${data.length} units: ${data.slice(0, 32)}`;
  return `binary of ${data.byteLength} bytes`;
}

function binaryOf(n) {
  return Uint8Array.from({ length: n }, (_, i) => i ^ (i >> 8) ^ ((i >> 16) * 7));
}

async function echoes(open, message) {
  const end = await open('/echo');
  end.ws.send(message);
  await end.wantMessage('what was sent comes back', message);
  await end.close();
}

const greek = 'ende ß水';

// What WHATWG's WebSocket has not: ws has it.
function needs(end, method, what) {
  if (typeof end.ws[method] !== 'function') throw new Cannot(`its API has no ${what}`);
}

const conversations = {
  'text': (open) => echoes(open, 'zß水🍌'),
  'binary': (open) => echoes(open, Uint8Array.of(0, 1, 0xfe, 0xff)),
  'empty messages': async (open) => {
    const end = await open('/echo');
    for (const message of ['', new Uint8Array(0)]) {
      end.ws.send(message);
      await end.wantMessage('an empty message comes back empty', message);
    }
    await end.close();
  },
  '64 KiB': (open) => echoes(open, binaryOf(64 << 10)),
  '1 MiB': (open) => echoes(open, binaryOf(1 << 20)),
  '1 MiB of text': (open) => echoes(open, 'zß水🍌!\n'.repeat((1 << 20) / 12)),
  'ten at once': async (open) => {
    const ends = await Promise.all(Array.from({ length: 10 }, () => open('/echo')));
    const messages = ends.map((_, i) => binaryOf(64 << 10).fill(i, 0, 1));
    ends.forEach((end, i) => end.ws.send(messages[i]));
    for (const [i, end] of ends.entries()) {
      await end.wantMessage('each gets its own back', messages[i]);
      await end.close();
    }
  },
  'fragments from the client': async (open) => {
    const end = await open('/echo');
    needs(end, 'ping', 'fragments');
    for (const part of ['one ', '', 'two ']) end.ws.send(part, { fin: false });
    end.ws.send('three', { fin: true });
    await end.wantMessage('the fragments are one message', 'one two three');
    await end.close();
  },
  'fragments from the server': async (open) => {
    const end = await open('/fragments');
    await end.wantMessage('the fragments are one message', 'one two three');
    await end.close();
  },
  'ping from the client': async (open) => {
    const end = await open('/echo');
    needs(end, 'ping', 'Pings');
    const pong = new Promise((resolve) => end.ws.once('pong', (data) => resolve(data.toString())));
    end.ws.ping('application data');
    const got = await pong;
    if (got !== 'application data') throw new Failure(`the Pong has the Ping's application data: got ${got}`);
    await end.close();
  },
  'ping from the server': async (open) => {
    const end = await open('/ping');
    await end.wantMessage("the server's Ping is answered", 'pong');
    await end.close();
  },
  'subprotocol': async (open) => {
    const end = await open('/echo', ['stranger', 'chat']);
    if (end.ws.protocol !== 'chat') throw new Failure(`the one that both know is chosen: got "${end.ws.protocol}"`);
    await end.close();
  },
  'the client closes with 1000': async (open) => (await open('/echo')).close(1000, 'done'),
  'the client closes with 4000': async (open) => (await open('/echo')).close(4000, greek),
  'the server closes with 1000': async (open) => {
    const end = await open('/close?code=1000&reason=done');
    await end.wantClose('the client learns how the server closes', 1000, 'done', true);
  },
  'the server closes with 4000': async (open) => {
    const end = await open(`/close?code=4000&reason=${encodeURIComponent(greek)}`);
    await end.wantClose('the client learns how the server closes', 4000, greek, true);
  },
  'the client ends abruptly': async (open) => {
    const end = await open('/echo');
    needs(end, 'terminate', 'way to end the transport');
    end.ws.send('here');
    await end.wantMessage('the connection works', 'here');
    end.ws.terminate();
    await end.wantClose('it has ended', 1006, '', false);
  },
  'the Close frame ends the stream': async (open) => {
    // As Chromium ends it.
    const end = await open('/echo');
    needs(end, 'endWithClose', 'streams');
    const { answer, rstCode } = await end.ws.endWithClose();
    if (answer !== '880203e8') throw new Failure(`the server answers the Close frame: got "${answer}"`);
    if (rstCode !== 0) throw new Failure(`the stream ends in order: got RST_STREAM ${rstCode}`);
  },
  'the server ends abruptly': async (open) => {
    const end = await open('/drop');
    end.ws.send('end it');
    await end.wantClose('a transport that ends without a Close frame', 1006, '', false);
  },
  'refused with 404': async (open) => {
    const refused = await open('/missing').then(() => false, () => true);
    if (!refused) throw new Failure('a refusal is no connection');
  },
};

// holdAll holds the conversations, of which only, if it is not empty, are those
// wanted. create(path, subprotocols) returns a WebSocket, or a promise of one.
// report is called with what became of each.
export async function holdAll(create, report, only = []) {
  for (const [conversation, hold] of Object.entries(conversations)) {
    if (only.length > 0 && !only.includes(conversation)) continue;
    let opened;
    const open = async (path, subprotocols = []) => {
      const query = `conversation=${encodeURIComponent(conversation)}`;
      const end = new End(await create(path + (path.includes('?') ? '&' : '?') + query, subprotocols));
      await end.wantOpen();
      opened = end.ws;
      return end;
    };
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Failure('it takes more than 20 s')), 20_000);
    });
    try {
      await Promise.race([hold(open), late]);
      await report({ conversation, outcome: 'ok' });
    } catch (error) {
      await report({ conversation, outcome: error instanceof Cannot ? 'cannot' : 'failed', reason: String(error.message) });
    } finally {
      clearTimeout(timer);
      opened?.close();
    }
  }
}
