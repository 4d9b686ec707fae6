"""The exchanges of the load: each is made, and every byte of it is checked."""

import json
import random
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mcptunnel.model import Headers, ResponseHead, header
from mcptunnel.net.http1 import Client, RequestFailed, Upload
from tests.soak.content import Content, event_text, told

TIMEOUT_S = 150.0
"""Longer than the resume window and the longest exchange together."""

KIB = 1024
MODERN = "2026-07-28"
_META = "io.modelcontextprotocol/"


class Failed(Exception):
    """There was no answer, or not the one of the server."""


class Mismatch(Exception):
    """An answer came, and it is not what was sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server of a device, and who may use it; `tool` is the name of its tool on the hub."""

    device: str
    tool: str
    key: str

    @property
    def path(self) -> str:
        return f"/devices/{self.device}/servers/origin/mcp"


class Answer:
    """Takes a response (`net.http1.ResponseReceiver`); `over` fires with it, or fails."""

    def __init__(self) -> None:
        self.over: Deferred[Answer] = Deferred()
        self.head: ResponseHead | None = None
        self._parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)

    def head_received(self, head: ResponseHead) -> None:
        self.head = head

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)

    def ended(self) -> None:
        self.over.callback(self)

    def failed(self, reason: RequestFailed) -> None:
        self.over.errback(Failed(reason.text))


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body goes: in so many pieces, so far apart."""

    pieces: int
    interval_ms: int

    @classmethod
    def drawn(cls, chance: random.Random) -> "Pace":
        """Most last 5 to 25 s; a few are as fast as they can."""
        if chance.random() < 0.04:
            return cls(1, 0)
        return cls(chance.randint(5, 16), chance.randint(900, 1600))


def drawn_content(chance: random.Random, pace: Pace) -> Content:
    """Return what is to be sent: small if it goes slowly, more if it goes at once."""
    most = 1024 * KIB if pace.pieces == 1 else 64 * KIB
    return Content(chance.getrandbits(32), round(200 * (most / 200) ** chance.random()))


class Exchanges:
    """Makes exchanges through one relay. Every method returns how many bytes of bodies it checked."""

    def __init__(self, reactor: Any, client: Client) -> None:
        self._reactor = reactor
        self._client = client

    async def down(self, place: Place, chance: random.Random) -> int:
        """Read a body."""
        pace = Pace.drawn(chance)
        content = drawn_content(chance, pace)
        answer = await self._ask("GET", place, b"", "down", content, pace)
        _same(answer.body, content.whole())
        return content.size

    async def events(self, place: Place, chance: random.Random) -> int:
        """Read an event stream; comments of the relay's own may be among the events."""
        pace = Pace.drawn(chance)
        content = Content(chance.getrandbits(32), 0)
        answer = await self._ask("GET", place, b"", "events", content, pace)
        wanted = [(number, event_text(content.seed, number)) for number in range(pace.pieces)]
        blocks = [block for block in answer.body.decode().split("\n\n") if block.strip(":\n ")]
        _same(blocks, [f"id: {number}\ndata: {text}" for number, text in wanted])
        return len(answer.body)

    async def up(self, place: Place, chance: random.Random) -> int:
        """Send a body, in pieces, with a stated length or in chunks."""
        pace = Pace.drawn(chance)
        content = drawn_content(chance, pace)
        upload = Upload(content.size if chance.random() < 0.5 else None, lambda: None)
        asking = self._ask("POST", place, upload, "up", content, pace)
        answering = Deferred.fromCoroutine(asking)  # first: its head states the length
        await self._write(upload, content, pace)
        answer = await answering
        _same(json.loads(answer.body), told(content.whole()))
        return content.size

    async def echo(self, place: Place, chance: random.Random) -> int:
        """Send a body at once, and read it again."""
        pace = Pace(1, 0)
        content = drawn_content(chance, pace)
        sent = content.whole()
        answer = await self._ask("POST", place, sent, "echo", content, pace)
        _same(json.loads(answer.body), {**told(sent), "text": sent.hex()})
        return 3 * content.size

    async def call(self, place: Place, chance: random.Random) -> int:
        """Call a tool on the hub that takes its time."""
        text = Content(chance.getrandbits(32), chance.randint(10, 4 * KIB)).whole().hex()
        params = {
            "name": place.tool,
            "arguments": {"text": text, "delay_s": round(chance.uniform(0.1, 20.0), 2)},
            "_meta": {_META + "protocolVersion": MODERN, _META + "clientCapabilities": {}},
        }
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        fields: Headers = (
            ("authorization", f"Bearer {place.key}"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", MODERN),
            ("mcp-method", "tools/call"),
            ("mcp-name", place.tool),
        )
        answer = await self._request("POST", "/mcp", fields, json.dumps(request).encode())
        result = _message(answer).get("result", {})
        if result.get("isError", not result):
            raise Failed(answer.body[:500].decode(errors="replace"))
        _same(result["content"][0]["text"], text)
        return 2 * len(text)

    async def _ask(
        self,
        method: str,
        place: Place,
        body: bytes | Upload,
        wanted: str,
        content: Content,
        pace: Pace,
    ) -> Answer:
        fields: Headers = (
            ("authorization", f"Bearer {place.key}"),
            ("mcp-protocol-version", MODERN),  # the server's own era: bytes pass as they are
            ("x-soak", wanted),
            ("x-seed", str(content.seed)),
            ("x-size", str(content.size)),
            ("x-pieces", str(pace.pieces)),
            ("x-interval", str(pace.interval_ms)),
        )
        return await self._request(method, place.path, fields, body)

    async def _request(
        self, method: str, path: str, fields: Headers, body: bytes | Upload
    ) -> Answer:
        answer = Answer()
        call = self._client.request(method, path, fields, body, answer)
        giving_up = self._reactor.callLater(TIMEOUT_S, self._give_up, call, answer)
        try:
            await answer.over
        finally:
            if giving_up.active():
                giving_up.cancel()
        if answer.head is None or answer.head.status != 200:
            status = None if answer.head is None else answer.head.status
            raise Failed(f"{status} {answer.body[:500].decode(errors='replace')}")
        return answer

    @staticmethod
    def _give_up(call: Any, answer: Answer) -> None:
        call.abort()
        answer.over.errback(Failed(f"no answer in {TIMEOUT_S:g} s"))

    async def _write(self, upload: Upload, content: Content, pace: Pace) -> None:
        for piece in content.pieces(pace.pieces):
            upload.write(piece)
            await deferLater(self._reactor, pace.interval_ms / 1000)
        upload.end()


def _same(found: object, wanted: object) -> None:
    if found != wanted:
        raise Mismatch(f"{found!r:.300} instead of {wanted!r:.300}")


def _message(answer: Answer) -> dict[str, Any]:
    """Return the JSON-RPC response, sent as JSON or as the last event of a stream."""
    assert answer.head is not None
    text = answer.body.decode()
    if (header(answer.head.headers, "content-type") or "").startswith("text/event-stream"):
        lines = [line for line in text.splitlines() if line.startswith("data:")]
        text = lines[-1].removeprefix("data:") if lines else "{}"
    message: dict[str, Any] = json.loads(text)
    return message
