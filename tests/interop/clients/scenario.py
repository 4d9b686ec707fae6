"""What every Python client driver has in common: steps in on stdin, events out on stdout.

Input is one JSON object {url, token, mode, steps}. A step is one of

    {"do": "list", "what": "prompts"}                    all pages of a list; tools, if not said
    {"do": "call", "name": ..., "arguments": {...}}      tools/call
        "cancel_after_s": 0.5                            give it up after that time
        "until_ok_s": 5                                  repeat it until it works, so long
        "until_text": "Started"                          and until this is in its result
    {"do": "get", "name": ..., "arguments": {...}}       prompts/get
    {"do": "read", "uri": ...}                           resources/read
    {"do": "complete", "ref": {...}, "argument": {...}}  completion/complete
    {"do": "subscribe", "uri": ...}                      hear of a resource, in the way of the era
    {"do": "listen"}                                     hear of changed lists, likewise
    {"do": "level", "level": "info"}                     hear of log messages, likewise
    {"do": "wait", "for": "updated", "timeout_s": 5}     until there is such an event, since the start;
                                                         or `changed tools`, a change of this list
    {"do": "pause", "seconds": 0.2}

Events are JSON lines {"t": monotonic seconds, "step": index, "event": ...}: `connected`, the name of
what was listed, `started`, `progress`, `result` (also with isError), `error` (a JSON-RPC error),
`cancelled`, `waited`, `done`, and, whenever they come: `asked` (the server's question, answered with
what `answer_to` says), `updated`, `changed`, `log`.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment

RETRY_S = 0.1
POLL_S = 0.01

ANSWER = "Ada"
SAMPLE = {
    "role": "assistant",
    "model": "a-model",
    "content": {"type": "text", "text": "Ada dreams"},
    "stopReason": "endTurn",
}
ROOTS = {"roots": [{"uri": "file:///home/ada", "name": "home of Ada"}]}

_now = {"step": -1}
_seen: Counter[str] = Counter()


class RpcError(Exception):
    """The request was answered with a JSON-RPC error, or could not be made."""

    def __init__(self, code: int | None, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Session(Protocol):
    """One connected client. What it returns is JSON; all but `listen` may raise RpcError."""

    async def list(self, what: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page and the cursor of the next."""

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        """Return the result, or None if it was cancelled."""

    async def get(self, name: str, arguments: dict[str, str]) -> dict[str, Any]: ...

    async def read(self, uri: str) -> dict[str, Any]: ...

    async def complete(self, step: dict[str, Any]) -> dict[str, Any]: ...

    async def subscribe(self, uri: str) -> None: ...

    async def listen(self) -> None: ...

    async def level(self, level: str) -> None: ...


def emit(event: str, step: int | None = None, **fields: Any) -> None:
    """Write one event, of the present step if not said."""
    _seen[event] += 1
    at = _now["step"] if step is None else step
    sys.stdout.write(json.dumps({"t": time.monotonic(), "step": at, "event": event, **fields}))
    sys.stdout.write("\n")
    sys.stdout.flush()


def read_input() -> dict[str, Any]:
    """Read what to do."""
    asked: dict[str, Any] = json.load(sys.stdin)
    return asked


def answer_to(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Tell of a server's question, and return the answer."""
    emit("asked", method=method, params=params)
    if method == "sampling/createMessage":
        return SAMPLE
    if method == "roots/list":
        return ROOTS
    schema = params["requestedSchema"]
    wanted = schema.get("required") or schema["properties"]
    content = {name: _filled_in(schema["properties"][name]) for name in wanted}
    return {"action": "accept", "content": content}


def _filled_in(field: dict[str, Any]) -> Any:
    if "default" in field:
        return field["default"]
    if "enum" in field:
        return field["enum"][0]
    return {"boolean": True, "integer": 7, "number": 7}.get(field.get("type", ""), ANSWER)


def told(method: str, params: dict[str, Any]) -> None:
    """Tell of a notification that came by itself."""
    if method == "notifications/message":
        emit("log", **params)
    elif method == "notifications/resources/updated":
        emit("updated", uri=params["uri"])
    elif method.endswith("/list_changed"):
        what = method.split("/")[1]
        _seen[f"changed {what}"] += 1
        emit("changed", what=what)


async def run_steps(session: Session, steps: list[dict[str, Any]]) -> None:
    """Do the steps one after the other."""
    for index, step in enumerate(steps):
        _now["step"] = index
        do = step["do"]
        if do == "wait":
            await _wait(step["for"], step["timeout_s"])
        elif do == "pause":
            await anyio.sleep(step["seconds"])
        elif do == "call":
            await _call_until_ok(session, step)
        else:
            await _ask(session, step)
    emit("done", len(steps))


async def _wait(event: str, timeout_s: float) -> None:
    with anyio.move_on_after(timeout_s):
        while not _seen[event]:  # noqa: ASYNC110 - events of this name are not known beforehand
            await anyio.sleep(POLL_S)
    emit("waited", found=bool(_seen[event]))


async def _ask(session: Session, step: dict[str, Any]) -> None:
    emit("started")
    try:
        match step["do"]:
            case "list":
                what = step.get("what", "tools")
                emit(what, items=await _list(session, what))
            case "get":
                emit("result", result=await session.get(step["name"], step.get("arguments", {})))
            case "read":
                emit("result", result=await session.read(step["uri"]))
            case "complete":
                emit("result", result=await session.complete(step))
            case "subscribe":
                await session.subscribe(step["uri"])
                emit("result", result={})
            case "listen":
                await session.listen()
                emit("result", result={})
            case "level":
                await session.level(step["level"])
                emit("result", result={})
            case unknown:
                raise ValueError(unknown)
    except RpcError as error:
        emit("error", code=error.code, message=error.message, data=error.data)


async def _list(session: Session, what: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page, cursor = await session.list(what, cursor)
        items += page
        if cursor is None:
            return items


async def _call_until_ok(session: Session, step: dict[str, Any]) -> None:
    deadline = time.monotonic() + step.get("until_ok_s", 0)
    done = await _call(session, step)
    while not done and time.monotonic() < deadline:
        await anyio.sleep(RETRY_S)
        done = await _call(session, step)


async def _call(session: Session, step: dict[str, Any]) -> bool:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        emit("progress", progress=done, total=total, message=message)

    emit("started")
    try:
        result = await session.call(
            step["name"], step.get("arguments", {}), progress, step.get("cancel_after_s")
        )
    except RpcError as error:
        emit("error", code=error.code, message=error.message, data=error.data)
        return False
    if result is None:
        emit("cancelled")
        return True
    emit("result", result=result)
    return not result.get("isError") and step.get("until_text", "") in json.dumps(result)
