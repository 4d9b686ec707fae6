"""A server made with the Python SDK 2.x, over Streamable HTTP: what only such a server can show.

Its tools can be cancelled by closing the stream as well as by notification, and it counts that.
Run by the interpreter of the SDK's environment: `sdk_server.py PORT`.
"""

import sys

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
from mcp.server.mcpserver import (  # type: ignore[import-not-found, unused-ignore]  # the same
    Context,
    MCPServer,
)

mcp = MCPServer("sdk-server")
# Text alone: with structured content beside it a megabyte is more than the SDK's clients take in
# one event (1 MiB).
_tool = mcp.tool(structured_output=False)
_cancelled = 0


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


if __name__ == "__main__":
    mcp.run(transport="streamable-http", port=int(sys.argv[1]))
