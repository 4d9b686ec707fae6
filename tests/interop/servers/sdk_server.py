"""A server made with the Python SDK 2.x, over Streamable HTTP: what only such a server can show.

Its tools can be cancelled by closing the stream as well as by notification, and it counts that. It
speaks both eras: what it asks and tells goes out in the way of the client's era.
Run by the interpreter of the SDK's environment: `sdk_server.py PORT`.
"""

import sys
from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
from mcp import types  # type: ignore[import-not-found, unused-ignore]  # the same
from mcp.server.mcpserver import (  # type: ignore[import-not-found, unused-ignore]  # the same
    Context,
    MCPServer,
)

MODERN = "2026-07-28"
BOARD = "sdk://board"

mcp = MCPServer("sdk-server", instructions="Ask the board.")
# Text alone: with structured content beside it a megabyte is more than the SDK's clients take in
# one event (1 MiB).
_tool = mcp.tool(structured_output=False)
_cancelled = 0
_written = 0
_is_extra = False


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # the SDK is not in our environment
async def echo(size: int) -> str:
    """Give back as many letters as asked."""
    return "x" * size


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def countdown(n: int, interval: float, ctx: Context) -> str:
    """Report progress n times."""
    for step in range(1, n + 1):
        await anyio.sleep(interval)
        await ctx.report_progress(progress=step, total=n, message=f"{n - step} to go")
    return "done"


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def sleep(seconds: float) -> str:
    """Sleep, unless cancelled."""
    global _cancelled  # noqa: PLW0603 - a script of one server
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        _cancelled += 1
        raise
    return "slept"


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def cancelled() -> str:
    """Say how many sleeps were cancelled."""
    return str(_cancelled)


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def roots(ctx: Context) -> Any:
    """Ask for the client's directories, and name them."""
    if ctx.protocol_version < MODERN:
        found = await ctx.session.list_roots()
        return ", ".join(str(root.name) for root in found.roots)
    answers = ctx.input_responses
    if not answers:
        return types.InputRequiredResult(input_requests={"roots": types.ListRootsRequest()})
    return ", ".join(str(root.name) for root in answers["roots"].roots)


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def write(ctx: Context) -> str:
    """Change the board, and tell those who listen."""
    global _written  # noqa: PLW0603 - as above
    _written += 1
    await ctx.notify_resource_updated(BOARD)
    if ctx.protocol_version < MODERN:
        await ctx.session.send_resource_updated(BOARD)
    return "written"


@_tool  # type: ignore[untyped-decorator, unused-ignore]  # as above
async def rearrange(ctx: Context) -> str:
    """Add a tool, or take it away again, and tell that the tools changed."""
    global _is_extra  # noqa: PLW0603 - as above
    _is_extra = not _is_extra
    if _is_extra:
        mcp.add_tool(_extra, name="extra")
    else:
        mcp.remove_tool("extra")
    await ctx.notify_tools_changed()
    if ctx.protocol_version < MODERN:
        await ctx.session.send_tool_list_changed()
    return "rearranged"


def _extra() -> str:
    """A tool that comes and goes."""
    return "extra"


@mcp.resource(BOARD)  # type: ignore[untyped-decorator, unused-ignore]  # as above
def board() -> str:
    """What was written last."""
    return f"written {_written} times"


async def _subscribed(_: Any, __: Any) -> Any:
    """Take a subscription of the older era; everybody is told anyway."""
    return types.EmptyResult()


mcp._lowlevel_server.add_request_handler(  # there is no public way yet
    "resources/subscribe", types.SubscribeRequestParams, _subscribed
)


if __name__ == "__main__":
    mcp.run(transport="streamable-http", port=int(sys.argv[1]))
