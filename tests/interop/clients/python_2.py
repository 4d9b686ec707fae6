"""Client driver: the Python SDK 2.x. Run by the interpreter of its own environment."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
import httpx2  # type: ignore[import-not-found, unused-ignore]  # the same
import mcp  # type: ignore[import-not-found, unused-ignore]  # the same
import scenario  # type: ignore[import-not-found, unused-ignore]  # beside this script
from mcp.client.streamable_http import (  # type: ignore[import-not-found, unused-ignore]  # as above
    streamable_http_client,
)


class Session:
    """A `scenario.Session` over `mcp.Client`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def list_tools(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self._client.list_tools(cursor=cursor)
            tools += [_plain(tool) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                return tools

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        result = None
        try:
            with anyio.move_on_after(cancel_after_s):
                result = await self._client.call_tool(name, arguments, progress_callback=progress)
        except mcp.MCPError as error:
            raise scenario.RpcError(error.code, error.message, error.data) from error
        return None if result is None else _plain(result)


def _plain(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


async def main() -> None:
    """Connect, do the steps, disconnect."""
    asked = scenario.read_input()
    headers = {"Authorization": f"Bearer {asked['token']}"} if asked["token"] else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(asked["url"], http_client=http)
        async with mcp.Client(transport, mode=asked["mode"]) as client:
            scenario.emit(-1, "connected", protocol=client.protocol_version)
            await scenario.run_steps(Session(client), asked["steps"])


if __name__ == "__main__":
    anyio.run(main)
