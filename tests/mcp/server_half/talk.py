"""A child on paper: what tests say to it and what it wants written, as plain objects."""

import itertools
import json
from typing import Any

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.server_half.actions import Action, Deliver, Write
from mcptunnel.mcp.server_half.child import Child
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.request_state import RequestStates

US = Raw(b'{"name":"mcptunnel","version":"1"}')
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def new_states() -> RequestStates:
    """States under a secret of the test's, with nonces that count."""
    count = itertools.count()
    return RequestStates.of(b"s" * 32, lambda size: next(count).to_bytes(size))


def new_child(**options: Any) -> Child:
    """A started child at second 0."""
    settings: dict[str, Any] = {"context": ServerContext(US, new_states()), "now_s": 0.0}
    child = Child(**{**settings, **options})
    child.start()
    return child


def say(child: Child, now_s: float = 1.0, **members: Any) -> None:
    """Let the child write one message."""
    child.receive_line(json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n", now_s)


def in_flight(child: Child) -> int:
    """How many calls were written and not answered."""
    return len(child._calls)


def written(actions: list[Action]) -> list[dict[str, Any]]:
    """What is to be written to the child, decoded; each must be one line."""
    lines = [action.line for action in actions if isinstance(action, Write)]
    assert all(b"\n" not in line for line in lines)
    return [json.loads(line) for line in lines]


def delivered(actions: list[Action]) -> list[tuple[int, dict[str, Any]]]:
    """What callers get, decoded, by key."""
    return [
        (action.key, json.loads(jsonrpc.encode(action.message)))
        for action in actions
        if isinstance(action, Deliver)
    ]


def others(actions: list[Action]) -> list[Action]:
    """Everything that is neither written nor delivered."""
    return [action for action in actions if not isinstance(action, Write | Deliver)]


def discovered(*versions: str) -> dict[str, Any]:
    """A DiscoverResult."""
    return {
        "resultType": "complete",
        "supportedVersions": list(versions),
        "capabilities": {"tools": {}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "files", "version": "2"}},
    }


def initialized(version: str = "2025-11-25") -> dict[str, Any]:
    """An InitializeResult."""
    return {
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": True}, "tasks": {}},
        "serverInfo": {"name": "files", "version": "2"},
        "instructions": "Be kind.",
    }


def modern_child() -> Child:
    """A ready modern child; the next id is 2."""
    child = new_child()
    say(child, id=1, result=discovered("2026-07-28"))
    child.take_actions()
    return child


def legacy_child() -> Child:
    """A ready legacy child; the next id is 3."""
    child = new_child()
    say(child, id=1, error={"code": -32601, "message": "Method not found"})
    say(child, id=2, result=initialized())
    child.take_actions()
    return child


def request(
    request_id: str | int, method: str = "tools/call", *, meta: Any = None, **params: Any
) -> Request:
    """A modern request; `meta` are members of `_meta` beside the protocol's own."""
    about = {**MODERN_META, **(meta or {})}
    encoded = {name: jsonrpc.raw(value) for name, value in {**params, "_meta": about}.items()}
    return Request(request_id, method, encoded)


def plain(message: Request | Notification | Response) -> dict[str, Any]:
    """A message as an object."""
    decoded: dict[str, Any] = json.loads(jsonrpc.encode(message))
    return decoded
