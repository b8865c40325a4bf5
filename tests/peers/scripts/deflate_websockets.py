"""websockets with permessage-deflate: what deflate-ws.mjs is for ws. Options are the
arguments of its factories; null is what it does by itself."""

import json
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.sync.client import connect
from websockets.sync.server import serve

MODE, FILE = sys.argv[1:]
FRAGMENT_SIZE = {"fragments": 1000, "between": 5000}


def pieces(ws, message, manner):
    """The fragments of a message, with Pings between them if the manner has them."""
    message = message.encode() if isinstance(message, str) else message
    size = FRAGMENT_SIZE[manner]
    for i in range(0, max(len(message), 1), size):
        if i > 0 and manner == "between":
            ws.ping()  # with application data that no other has
        yield message[i : i + size]


def answer(ws, manner):
    """Sends back each message that arrives."""
    try:
        for message in ws:
            match manner:
                case "fragments" | "between":
                    ws.send(pieces(ws, message, manner), text=isinstance(message, str))
                case "pings":
                    ws.ping()  # with application data that no other has
                    ws.send(message)
                case "as-text":
                    ws.send(message, text=True)
                case _:
                    ws.send(message)
    except ConnectionClosed:
        pass


def deflate(factory, options):
    limits = {"max_size": 16 << 20, "ping_interval": None}
    if options is None:
        return limits
    return limits | {"compression": None, "extensions": [factory(**options)]}


with open(FILE) as file:
    LIST = json.load(file)

if MODE == "serve":
    addresses = []
    for options in LIST:
        server = serve(
            lambda ws: answer(ws, ws.request.path[1:]), "127.0.0.1", 0,
            **deflate(ServerPerMessageDeflateFactory, options),
        )
        addresses.append("%s:%d" % server.socket.getsockname()[:2])
        threading.Thread(target=server.serve_forever).start()
    print("listening", json.dumps(addresses), flush=True)
else:
    for call in LIST:
        try:
            with connect(call["url"], proxy=None, **deflate(ClientPerMessageDeflateFactory, call["options"])) as ws:
                answer(ws, call["manner"])
        except Exception as error:
            print(json.dumps({"url": call["url"], "error": f"{type(error).__name__}: {error}"}), flush=True)
