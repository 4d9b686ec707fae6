"""Where calls go, and the bytes of the requests, made before anything is measured."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

Era: TypeAlias = Literal["legacy", "modern"]

VERSIONS: Mapping[Era, str] = {"legacy": "2025-06-18", "modern": "2026-07-28"}
VARIANTS = 97
"""Different bodies, of different lengths: nothing on the way gets by with a cache of the last one."""

FIRST_ID = 1_000_000_000
"""Ids have ten digits, so that a new id never changes Content-Length."""

_ID_MARK = b"@@@@@@@@@@"
_ABOUT = "io.modelcontextprotocol/"


@dataclass(frozen=True, slots=True)
class Target:
    """An MCP endpoint in one era. `session` is set once a legacy session was opened.

    `beside` is where large bodies come from on the same way, of another server process.
    """

    name: str
    url: str
    era: Era
    token: str = ""
    prefix: str = ""
    session: str = ""
    beside: "Target | None" = None

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def head(self, method: str, name: str, length: int) -> bytes:
        """Return a request head, as a client library would send it."""
        parts = urlsplit(self.url)
        lines = [
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "Accept-Encoding: identity",
            "User-Agent: benchmark",
            f"MCP-Protocol-Version: {VERSIONS[self.era]}",
            f"Content-Length: {length}",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.session:
            lines.append(f"Mcp-Session-Id: {self.session}")
        if self.era == "modern":
            lines += [f"Mcp-Method: {method}", *([f"Mcp-Name: {name}"] if name else [])]
        return "\r\n".join([*lines, "", ""]).encode()

    def request(self, message: Mapping[str, Any], name: str = "") -> bytes:
        """Return one whole request."""
        body = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode()
        return self.head(str(message["method"]), name, len(body)) + body

    def meta(self) -> dict[str, Any]:
        """Return what every request of the era carries in `_meta`."""
        if self.era == "legacy":
            return {}
        client = {"name": "benchmark", "version": "1"}
        return {
            f"{_ABOUT}protocolVersion": VERSIONS["modern"],
            f"{_ABOUT}clientCapabilities": {},
            f"{_ABOUT}clientInfo": client,
        }


class Calls:
    """The requests that call one tool, each with an id of its own. `size` is what it gives back."""

    _ids: Iterator[int] = iter(range(FIRST_ID, 10 * FIRST_ID))

    def __init__(
        self, target: Target, tool: str, arguments: Mapping[str, Any], *, progress: bool = False
    ) -> None:
        self.size = int(arguments.get("size", 0))
        self._variants = [
            self._variant(target, target.prefix + tool, arguments, "y" * number, progress=progress)
            for number in range(VARIANTS)
        ]

    @staticmethod
    def _variant(
        target: Target, name: str, arguments: Mapping[str, Any], note: str, *, progress: bool
    ) -> tuple[bytes, ...]:
        meta = target.meta()
        if progress:
            meta["progressToken"] = _ID_MARK.decode()
        params = {"name": name, "arguments": {**arguments, "note": note}}
        if meta:
            params["_meta"] = meta
        encoded = json.dumps(params, separators=(",", ":")).encode()
        start = b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":' % _ID_MARK
        body = b"%b%b}" % (start, encoded)
        return tuple((target.head("tools/call", name, len(body)) + body).split(_ID_MARK))

    def next(self) -> tuple[bytes, bytes]:
        """Return the bytes of the next request and its id, as it will stand in the response."""
        number = next(Calls._ids)
        request_id = b"%d" % number
        return request_id.join(self._variants[number % VARIANTS]), request_id
