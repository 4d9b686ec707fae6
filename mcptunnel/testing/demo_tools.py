"""The tools of the demo server: what the list says of them, and what they do."""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, NoReturn, TypeAlias

CRASH_EXIT_CODE = 70

Json: TypeAlias = dict[str, Any]


class ToolError(Exception):
    """A tool that could not do what it was asked; the caller reads why."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as its tool sees it.

    `cancelled` is set by the caller's notification. `progress` takes the steps done, the steps in
    all, and a text. `cancelled_count` says how many calls of the server were cancelled.
    """

    arguments: Json
    cancelled: threading.Event
    progress: Callable[[float, float, str], None]
    cancelled_count: Callable[[], int]


Tool: TypeAlias = Callable[[Call], Json | str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tool. A slow one runs in a thread of its own."""

    listed: Json
    run: Tool
    slow: bool


TOOLS: dict[str, Entry] = {}
"""In the order of the list, which is alphabetical."""


def _tool(
    title: str,
    takes: Json,
    gives: Json | None,
    *,
    slow: bool = False,
    **hints: bool,
) -> Callable[[Tool], Tool]:
    def add_to_list(run: Tool) -> Tool:
        name = run.__name__
        annotations = {"readOnlyHint": True, "openWorldHint": False, **hints}
        listed: Json = {
            "name": name,
            "title": title,
            "description": run.__doc__,
            "inputSchema": takes,
            "annotations": {"title": title, **annotations},
            "_meta": {"example.mcptunnel/demo": True},
        }
        if gives is not None:
            listed["outputSchema"] = gives
        TOOLS[name] = Entry(listed, run, slow)
        return run

    return add_to_list


def _object(*required: str, **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


_NUMBER: Json = {"type": "number"}
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0, "maximum": 100_000}
_SIZE: Json = {"type": "integer", "minimum": 0, "maximum": 64 * 1024 * 1024}
_SECONDS: Json = {"type": "number", "minimum": 0, "maximum": 86_400}


@_tool("Add", _object("a", "b", a=_NUMBER, b=_NUMBER), _object("sum", sum=_NUMBER))
def add(call: Call) -> Json:
    """Add two numbers."""
    return {"sum": call.arguments["a"] + call.arguments["b"]}


@_tool("Cancelled calls", _object(), _object("count", count=_COUNT))
def cancelled(call: Call) -> Json:
    """Say how many calls were cancelled since this server started."""
    return {"count": call.cancelled_count()}


@_tool("Clock", _object(zone=_TEXT), _object("zone", "time", zone=_TEXT, time=_TEXT))
def clock(call: Call) -> Json:
    """Tell the time in a zone such as 'Europe/Vienna'; without one in UTC."""
    name = call.arguments.get("zone", "UTC")
    return {"zone": name, "time": datetime.now(_zone(name)).isoformat(timespec="seconds")}


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - slow to import, and the start is to be quick

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ToolError(f"There is no time zone {name!r} on this machine.") from None


@_tool(
    "Count down", _object(n=_COUNT, interval=_SECONDS), _object("steps", steps=_COUNT), slow=True
)
def countdown(call: Call) -> Json:
    """Take n steps, each after a pause of `interval` seconds, and report progress."""
    steps, interval_s = call.arguments.get("n", 5), call.arguments.get("interval", 0.5)
    for step in range(1, steps + 1):
        if call.cancelled.wait(interval_s):
            break
        call.progress(step, steps, f"{steps - step} to go")
    return {"steps": steps}


@_tool("Crash", _object(), None, readOnlyHint=False, destructiveHint=True, idempotentHint=False)
def crash(_call: Call) -> NoReturn:
    """End this server in the middle of the call."""
    sys.stderr.write("demo server: crashing, as asked\n")
    sys.stderr.flush()
    os._exit(CRASH_EXIT_CODE)


@_tool("Echo", _object(text=_TEXT, size=_SIZE), None)
def echo(call: Call) -> str:
    """Give back `text`, or as many letters as `size` says."""
    size = call.arguments.get("size")
    return str(call.arguments.get("text", "")) if size is None else "x" * int(size)


@_tool(
    "Sleep", _object("seconds", seconds=_SECONDS), _object("seconds", seconds=_SECONDS), slow=True
)
def sleep(call: Call) -> Json:
    """Answer after some seconds. Can be cancelled."""
    call.cancelled.wait(call.arguments["seconds"])
    return {"seconds": call.arguments["seconds"]}


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
}


def check_arguments(schema: Json, arguments: object) -> Json:
    """Return the arguments; raise ToolError with a sentence if they break the schema."""
    if not isinstance(arguments, dict):
        raise ToolError("The arguments must be an object.")
    for name in schema.get("required", ()):
        if name not in arguments:
            raise ToolError(f"{name} is missing.")
    for name, value in arguments.items():
        rule = schema["properties"].get(name, {})
        if rule and (isinstance(value, bool) or not isinstance(value, _PYTHON_TYPES[rule["type"]])):
            raise ToolError(f"{name} must be of type {rule['type']}.")
        if "maximum" in rule and not rule["minimum"] <= value <= rule["maximum"]:
            raise ToolError(f"{name} must be between {rule['minimum']} and {rule['maximum']}.")
    return arguments
