"""The SDK's everything-server over HTTP, of the modern era alone: `modern_http.py PORT`.

Run by the interpreter of the SDK's environment.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
from mcp_everything_server.server import (  # type: ignore[import-not-found, unused-ignore]  # the same
    mcp,
)

MODERN = "2026-07-28"
UNSUPPORTED_VERSION = -32022
VERSION = b"mcp-protocol-version"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ModernOnly:
    """Refuses what is not a POST, and a POST whose header names no modern version."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        version = headers.get(VERSION, b"").decode()
        if scope["type"] != "http" or (scope["method"] == "POST" and version[:4] >= "2026"):
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            await _refuse(send, 400, await _request_id(receive), version)
        else:
            await _refuse(send, 405, None, version)


async def _request_id(receive: Receive) -> Any:
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return json.loads(body).get("id")


async def _refuse(send: Send, status: int, request_id: Any, version: str) -> None:
    error = {
        "code": UNSUPPORTED_VERSION,
        "message": "Unsupported protocol version",
        "data": {"supported": [MODERN], "requested": version},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    app = ModernOnly(mcp.streamable_http_app())
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
