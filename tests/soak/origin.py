"""The local server of all agents: gives, takes and echoes bodies slowly, and is an MCP server too.

    python -m tests.soak.origin PORT

The field `x-soak` names what a request wants: `down`, `echo`, `up`, `events`; `x-seed`, `x-size`,
`x-pieces` and `x-interval` say how. Without it a request is JSON-RPC of 2026-07-28.
"""

import json
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.soak.content import Content, event_text, told

_HINTS = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}
_TOOL = {
    "name": "echo",
    "description": "Give back `text` after `delay_s` seconds.",
    "inputSchema": {"type": "object"},
}


class Origin(Resource):
    """Answers every path."""

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def render_GET(self, request: Request) -> int:
        return self._start(request)

    def render_POST(self, request: Request) -> int:
        return self._start(request)

    def _start(self, request: Request) -> int:
        gone = request.notifyFinish()
        answering = Deferred.fromCoroutine(self._answer(request))
        gone.addErrback(lambda _failure: answering.cancel())
        answering.addErrback(lambda _failure: None)  # whoever asked is gone, and counts it
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        wanted = request.getHeader("x-soak")
        assert request.content is not None
        body = request.content.read()
        match wanted:
            case None:
                await self._message(request, json.loads(body))
            case "up":
                _json(request, told(body))
            case "echo":
                _json(request, {**told(body), "text": body.hex()})
            case "events":
                await self._events(request)
            case _:
                await self._down(request)

    async def _down(self, request: Request) -> None:
        content = Content(_number(request, "seed"), _number(request, "size"))
        request.setHeader("content-type", "application/octet-stream")
        request.setHeader("content-length", str(content.size))
        for piece in content.pieces(_number(request, "pieces")):
            request.write(piece)
            await self._rest(request)
        request.finish()

    async def _events(self, request: Request) -> None:
        request.setHeader("content-type", "text/event-stream")
        seed = _number(request, "seed")
        for number in range(_number(request, "pieces")):
            request.write(b"id: %d\ndata: %b\n\n" % (number, event_text(seed, number).encode()))
            await self._rest(request)
        request.finish()

    async def _rest(self, request: Request) -> None:
        await deferLater(self._reactor, _number(request, "interval") / 1000)

    async def _message(self, request: Request, message: dict[str, Any]) -> None:
        request_id, params = message.get("id"), message.get("params", {})
        if request_id is None:
            request.setResponseCode(202)
            request.finish()
            return
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id}
        match message.get("method"):
            case "server/discover":
                versions = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
                answer["result"] = {**_HINTS, **versions}
            case "tools/list":
                answer["result"] = {**_HINTS, "tools": [_TOOL]}
            case "tools/call":
                arguments = params["arguments"]
                await deferLater(self._reactor, arguments["delay_s"])
                text = {"type": "text", "text": arguments["text"]}
                answer["result"] = {"resultType": "complete", "content": [text]}
            case method:
                answer["error"] = {"code": -32601, "message": f"Unknown method {method}"}
        _json(request, answer)


def _number(request: Request, name: str) -> int:
    return int(request.getHeader(f"x-{name}") or 0)


def _json(request: Request, value: object) -> None:
    body = json.dumps(value).encode()
    request.setHeader("content-type", "application/json")
    request.setHeader("content-length", str(len(body)))
    request.write(body)
    request.finish()


def main() -> None:
    """Serve until killed."""
    from twisted.internet import reactor as installed  # noqa: PLC0415 - a program's reactor

    reactor: Any = installed
    site = Site(Origin(reactor), timeout=600)
    reactor.listenTCP(int(sys.argv[1]), site, backlog=1024, interface="127.0.0.1")
    print("ready", flush=True)  # noqa: T201 - this is awaited
    reactor.run()


if __name__ == "__main__":
    main()
