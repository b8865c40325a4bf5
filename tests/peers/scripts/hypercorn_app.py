"""An ASGI application that keeps the contract of ../doc.go as far as ASGI lets it:
fragments, Pings and the end of a transport are hypercorn's own affair.

It prints a line of JSON when a connection has ended.
"""

import json
from urllib.parse import parse_qs


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "websocket":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()  # websocket.connect
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    if scope["path"] == "/missing":
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
        return
    chosen = "chat" if "chat" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen})
    if scope["path"] == "/close":
        code, reason = int(query["code"][0]), query["reason"][0]
        await send({"type": "websocket.close", "code": code, "reason": reason})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            break
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})
    print(json.dumps({
        "conversation": query["conversation"][0], "httpVersion": scope["http_version"],
        "code": event.get("code", 1005), "reason": event.get("reason") or "",
    }), flush=True)
