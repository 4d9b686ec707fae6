"""An MCP server over stdio that depends on nothing, for the demo and for tests.

    python -m mcptunnel.testing.demo_server [--era legacy|modern|dual] [--page-size N]

It speaks the `initialize` handshake (legacy), stateless requests (modern, 2026-07-28), or both, which
is the default. Quick tools are answered in the reading thread; `sleep` and `countdown` take a thread
each, so that they overlap and can be cancelled.
"""

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from mcptunnel import __version__
from mcptunnel.testing.demo_tools import TOOLS, Call, Entry, Json, ToolError, check_arguments

LEGACY_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
MODERN_VERSIONS = ("2026-07-28",)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
UNSUPPORTED_VERSION = -32022

_META = "io.modelcontextprotocol/"
_CACHEABLE = ("server/discover", "tools/list")
_SERVER_INFO = {"name": "mcptunnel-demo", "title": "Demo server", "version": __version__}
_INSTRUCTIONS = "Tools to try a tunnel with: each does one small thing and has no side effects."


class RpcError(Exception):
    """A JSON-RPC error to answer with."""

    def __init__(self, code: int, message: str, data: Json | None = None) -> None:
        super().__init__(message)
        self.error: Json = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool call under way, as the server sees it."""

    request_id: str | int
    modern: bool
    progress_token: str | int | None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Server:
    """One conversation. `receive` takes lines from one thread; `write` is called under a lock."""

    def __init__(
        self, write: Callable[[bytes], None], *, era: str = "dual", page_size: int = 100
    ) -> None:
        self._cancelled_count = 0
        self._write = write
        self._era = era
        self._page_size = page_size
        self._initialized = False
        self._calls: dict[str | int, Pending] = {}
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Write nothing from now on."""
        with self._lock:
            self._closed = True

    def receive(self, line: bytes) -> None:
        """Take one line from the client."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._send({"id": None, "error": {"code": PARSE_ERROR, "message": "Parse error"}})
            return
        if not isinstance(message, dict):
            error = {"code": INVALID_REQUEST, "message": "Expected a JSON-RPC message object"}
            self._send({"id": None, "error": error})
        elif message.get("method") == "notifications/cancelled":
            self._cancel(message)
        elif "method" in message and isinstance(message.get("id"), str | int):
            self._answer(message["id"], message["method"], message)

    def _send(self, message: Json, call: Pending | None = None) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if not self._closed and (call is None or not call.cancelled.is_set()):
                self._write(line)

    def _answer(self, request_id: str | int, method: str, message: Json) -> None:
        try:
            params = _member(message, "params")
            modern = self._is_modern(method, params)
            if method == "tools/call":
                self._start_call(request_id, params, modern=modern)
            elif modern and method == "subscriptions/listen":
                self._acknowledge(request_id)
            else:
                result = self._result(method, params, modern=modern)
                self._send({"id": request_id, "result": _complete(method, result, modern=modern)})
        except RpcError as error:
            self._send({"id": request_id, "error": error.error})

    def _is_modern(self, method: str, params: Json) -> bool:
        """Decide the era of one request; raise RpcError if it may not be sent like this."""
        meta = _member(params, "_meta")
        version = meta.get(_META + "protocolVersion")
        if self._era != "legacy" and version is not None:
            if version not in MODERN_VERSIONS:
                raise _unsupported(version)
            if not isinstance(meta.get(_META + "clientCapabilities"), dict):
                raise RpcError(INVALID_PARAMS, f"_meta lacks {_META}clientCapabilities")
            return True
        if self._era == "modern":
            if method == "initialize":
                raise _unsupported(params.get("protocolVersion"))
            raise RpcError(INVALID_PARAMS, f"_meta lacks {_META}protocolVersion")
        if not self._initialized and method not in ("initialize", "ping", "server/discover"):
            raise RpcError(INVALID_REQUEST, "Send initialize first")
        return False

    def _result(self, method: str, params: Json, *, modern: bool) -> Json:
        if method == "tools/list":
            return self._list_tools(params.get("cursor"))
        if modern and method == "server/discover":
            about = {"capabilities": {"tools": {}}, "instructions": _INSTRUCTIONS}
            return {"supportedVersions": list(MODERN_VERSIONS), **about}
        if not modern and method == "ping":
            return {}
        if not modern and method == "initialize":
            self._initialized = True
            asked = params.get("protocolVersion")
            return {
                "protocolVersion": asked if asked in LEGACY_VERSIONS else LEGACY_VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": _SERVER_INFO,
                "instructions": _INSTRUCTIONS,
            }
        raise RpcError(METHOD_NOT_FOUND, f"Unknown method {method}")

    def _list_tools(self, cursor: object) -> Json:
        names = list(TOOLS)
        if cursor is not None and cursor not in names:
            raise RpcError(INVALID_PARAMS, "Unknown cursor")
        start = 0 if cursor is None else names.index(str(cursor))
        page, rest = names[start : start + self._page_size], names[start + self._page_size :]
        result: Json = {"tools": [TOOLS[name].listed for name in page]}
        return {**result, "nextCursor": rest[0]} if rest else result

    def _acknowledge(self, request_id: str | int) -> None:
        # Nothing here ever changes: the subscription is granted, empty, and stays open.
        params = {"notifications": {}, "_meta": {_META + "subscriptionId": request_id}}
        self._send({"method": "notifications/subscriptions/acknowledged", "params": params})

    def _start_call(self, request_id: str | int, params: Json, *, modern: bool) -> None:
        entry = TOOLS.get(str(params.get("name")))
        if entry is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool {params.get('name')}")
        token = _member(params, "_meta").get("progressToken")
        pending = Pending(request_id, modern, token)
        arguments = params.get("arguments", {})
        if entry.slow:
            self._calls[request_id] = pending
            run = partial(self._run, entry, pending, arguments)
            threading.Thread(target=run, daemon=True).start()
        else:
            self._run(entry, pending, arguments)

    def _run(self, entry: Entry, pending: Pending, arguments: object) -> None:
        try:
            checked = check_arguments(entry.listed["inputSchema"], arguments)
            report = partial(self._send_progress, pending)
            given = entry.run(
                Call(checked, pending.cancelled, report, lambda: self._cancelled_count)
            )
        except ToolError as error:
            result: Json = {"content": [{"type": "text", "text": str(error)}], "isError": True}
        else:
            text = given if isinstance(given, str) else json.dumps(given)
            result = {"content": [{"type": "text", "text": text}]}
            if not isinstance(given, str):
                result["structuredContent"] = given
        with self._lock:
            if self._calls.get(pending.request_id) is pending:
                del self._calls[pending.request_id]
        answer = _complete("tools/call", result, modern=pending.modern)
        self._send({"id": pending.request_id, "result": answer}, pending)

    def _send_progress(self, pending: Pending, done: float, total: float, text: str) -> None:
        if pending.progress_token is not None:
            params = {"progressToken": pending.progress_token, "progress": done, "total": total}
            message = {"method": "notifications/progress", "params": {**params, "message": text}}
            self._send(message, pending)

    def _cancel(self, notification: Json) -> None:
        with contextlib.suppress(RpcError), self._lock:
            request_id = _member(notification, "params").get("requestId")
            if isinstance(request_id, str | int) and request_id in self._calls:
                pending = self._calls.pop(request_id)
                self._cancelled_count += 1
                pending.cancelled.set()


def _member(message: Json, name: str) -> Json:
    value = message.get(name, {})
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, f"{name} must be an object")
    return value


def _unsupported(requested: object) -> RpcError:
    data = {"supported": list(MODERN_VERSIONS), "requested": requested}
    return RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def _complete(method: str, result: Json, *, modern: bool) -> Json:
    """Add what every modern result must say."""
    if not modern:
        return result
    full = {"resultType": "complete", **result, "_meta": {_META + "serverInfo": _SERVER_INFO}}
    return {**full, "ttlMs": 60_000, "cacheScope": "public"} if method in _CACHEABLE else full


def _write_stdout(line: bytes) -> None:
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody reads any more; a thread cannot end the process politely
        os._exit(0)


def main() -> None:
    """Serve stdin and stdout until stdin ends."""
    parser = argparse.ArgumentParser(prog="demo_server", description=_INSTRUCTIONS)
    parser.add_argument("--era", choices=("legacy", "modern", "dual"), default="dual")
    parser.add_argument("--page-size", type=int, default=100, metavar="N", help="tools per page")
    options = parser.parse_args()
    if options.page_size < 1:
        parser.error("--page-size must be at least 1")
    server = Server(_write_stdout, era=options.era, page_size=options.page_size)
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin.buffer:
            if line.strip():
                server.receive(line)
    server.close()


if __name__ == "__main__":
    main()
