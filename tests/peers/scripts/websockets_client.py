"""The conversations of ../conversations_test.go, held by websockets' client with
our server. It is told URL VERSION CA [CONVERSATION...], and prints a line of JSON
for what became of each. PEERS_DEFLATE has it offer permessage-deflate."""

import json
import os
import ssl
import sys
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

URL, _, CA, *ONLY = sys.argv[1:]
TLS = ssl.create_default_context(cafile=CA) if URL.startswith("wss") else None
if TLS:
    # This client reads in one thread and writes in another, which OpenSSL does not
    # allow: with the tickets of TLS 1.3, which arrive as the request is sent, one
    # connection of about a hundred lost its request.
    # https://github.com/openssl/openssl/issues/20446
    TLS.maximum_version = ssl.TLSVersion.TLSv1_2
COMPRESSION = "deflate" if "PEERS_DEFLATE" in os.environ else None
END = "ende ß水"


class Cannot(Exception):
    pass


def want(sentence, got, expected):
    if got != expected:
        raise AssertionError(f"{sentence}: got {got!r:.200}, want {expected!r:.200}")


def binary_of(n):
    return bytes((i ^ i >> 8 ^ (i >> 16) * 7) & 0xFF for i in range(n))


def echoes(message):
    def hold(opened):
        with opened("/echo") as ws:
            ws.send(message)
            want("what was sent comes back", ws.recv(), message)
        want_closed(ws, 1000, "")

    return hold


def want_closed(ws, code, reason):
    want("the Close frame that arrived", (ws.close_code, ws.close_reason), (code, reason))


def empty_messages(opened):
    with opened("/echo") as ws:
        for message in ("", b""):
            ws.send(message)
            want("an empty message comes back empty", ws.recv(), message)


def ten_at_once(opened):
    ends = [opened("/echo") for _ in range(10)]
    messages = [bytes([i]) + binary_of(64 << 10) for i in range(10)]
    for ws, message in zip(ends, messages):
        ws.send(message)
    for ws, message in zip(ends, messages):
        want("each gets its own back", ws.recv(), message)
        ws.close()


def fragments_from_the_client(opened):
    with opened("/echo") as ws:
        ws.send(["one ", "", "two ", "three"])
        want("the fragments are one message", ws.recv(), "one two three")


def fragments_from_the_server(opened):
    with opened("/fragments") as ws:
        parts = list(ws.recv_streaming())
        want("the fragments are one message", "".join(parts), "one two three")
        want("each arrives as it was sent", [p for p in parts if p], ["one ", "two ", "three"])


def ping_from_the_client(opened):
    with opened("/echo") as ws:
        want("a Ping is answered", ws.ping("application data").wait(20), True)


def ping_from_the_server(opened):
    with opened("/ping") as ws:
        want("the server's Ping is answered", ws.recv(), "pong")


def subprotocol(opened):
    with opened("/echo", subprotocols=["stranger", "chat"]) as ws:
        want("the one that both know is chosen", ws.subprotocol, "chat")


def client_closes(code, reason):
    def hold(opened):
        ws = opened("/echo")
        ws.close(code, reason)
        want_closed(ws, code, reason)

    return hold


def server_closes(code, reason):
    def hold(opened):
        ws = opened(f"/close?code={code}&reason={quote(reason)}")
        try:
            want("the connection ends", ws.recv(), None)
        except ConnectionClosed:
            want_closed(ws, code, reason)

    return hold


def client_ends_abruptly(opened):
    ws = opened("/echo")
    ws.send("here")
    want("the connection works", ws.recv(), "here")
    ws.socket.close() if TLS is None else ws.socket.shutdown(2)


def close_frame_ends_the_stream(opened):
    raise Cannot("it has no streams")


def server_ends_abruptly(opened):
    ws = opened("/drop")
    ws.send("end it")
    try:
        want("the connection ends", ws.recv(), None)
    except ConnectionClosed:
        want("a transport that ends without a Close frame", ws.close_code, 1006)


def refused(opened):
    try:
        opened("/missing").close()
    except InvalidStatus as error:
        want("a refusal has its status", error.response.status_code, 404)
    else:
        raise AssertionError("a refusal is no connection")


CONVERSATIONS = {
    "text": echoes("zß水🍌"),
    "binary": echoes(bytes([0, 1, 0xFE, 0xFF])),
    "empty messages": empty_messages,
    "64 KiB": echoes(binary_of(64 << 10)),
    "1 MiB": echoes(binary_of(1 << 20)),
    "1 MiB of text": echoes("zß水🍌!\n" * ((1 << 20) // 12)),
    "ten at once": ten_at_once,
    "fragments from the client": fragments_from_the_client,
    "fragments from the server": fragments_from_the_server,
    "ping from the client": ping_from_the_client,
    "ping from the server": ping_from_the_server,
    "subprotocol": subprotocol,
    "the client closes with 1000": client_closes(1000, "done"),
    "the client closes with 4000": client_closes(4000, END),
    "the server closes with 1000": server_closes(1000, "done"),
    "the server closes with 4000": server_closes(4000, END),
    "the client ends abruptly": client_ends_abruptly,
    "the Close frame ends the stream": close_frame_ends_the_stream,
    "the server ends abruptly": server_ends_abruptly,
    "refused with 404": refused,
}

for name, hold in CONVERSATIONS.items():
    if ONLY and name not in ONLY:
        continue

    def opened(path, **options):
        separator = "&" if "?" in path else "?"
        return connect(
            f"{URL}{path}{separator}conversation={quote(name)}",
            ssl=TLS, compression=COMPRESSION, proxy=None, max_size=16 << 20, **options,
        )

    result = {"conversation": name, "outcome": "ok"}
    try:
        hold(opened)
    except Cannot as error:
        result |= {"outcome": "cannot", "reason": str(error)}
    except Exception as error:
        result |= {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
