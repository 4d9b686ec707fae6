"""What every Python client driver has in common: steps in on stdin, events out on stdout.

Input is one JSON object {url, token, mode, steps}. A step is one of

    {"do": "list"}                                       all pages of tools/list
    {"do": "call", "name": ..., "arguments": {...}}      tools/call
        "cancel_after_s": 0.5                            give it up after that time
        "until_ok_s": 5                                  repeat it until it works, so long
    {"do": "pause", "seconds": 0.2}

Events are JSON lines {"t": monotonic seconds, "step": index, "event": ...}: `connected`, `tools`,
`started`, `progress`, `result` (also with isError), `error` (a JSON-RPC error), `cancelled`, `done`.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment

RETRY_S = 0.1


class RpcError(Exception):
    """The call was answered with a JSON-RPC error, or could not be made."""

    def __init__(self, code: int | None, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Session(Protocol):
    """One connected client."""

    async def list_tools(self) -> list[dict[str, Any]]: ...

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        """Return the result, or None if it was cancelled; raise RpcError."""


def emit(step: int, event: str, **fields: Any) -> None:
    """Write one event."""
    line = json.dumps({"t": time.monotonic(), "step": step, "event": event, **fields})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def read_input() -> dict[str, Any]:
    """Read what to do."""
    asked: dict[str, Any] = json.load(sys.stdin)
    return asked


async def run_steps(session: Session, steps: list[dict[str, Any]]) -> None:
    """Do the steps one after the other."""
    for index, step in enumerate(steps):
        if step["do"] == "list":
            emit(index, "tools", tools=await session.list_tools())
        elif step["do"] == "pause":
            await anyio.sleep(step["seconds"])
        else:
            await _call_until_ok(session, index, step)
    emit(len(steps), "done")


async def _call_until_ok(session: Session, index: int, step: dict[str, Any]) -> None:
    deadline = time.monotonic() + step.get("until_ok_s", 0)
    done = await _call(session, index, step)
    while not done and time.monotonic() < deadline:
        await anyio.sleep(RETRY_S)
        done = await _call(session, index, step)


async def _call(session: Session, index: int, step: dict[str, Any]) -> bool:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        emit(index, "progress", progress=done, total=total, message=message)

    emit(index, "started")
    try:
        result = await session.call(
            step["name"], step.get("arguments", {}), progress, step.get("cancel_after_s")
        )
    except RpcError as error:
        emit(index, "error", code=error.code, message=error.message, data=error.data)
        return False
    if result is None:
        emit(index, "cancelled")
        return True
    emit(index, "result", result=result)
    return not result.get("isError")
