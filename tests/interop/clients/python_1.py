"""Client driver: the Python SDK 1.x. Run by the interpreter of its own environment."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
import httpx  # type: ignore[import-not-found, unused-ignore]  # the same
import mcp  # type: ignore[import-not-found, unused-ignore]  # the same
import scenario  # type: ignore[import-not-found, unused-ignore]  # beside this script
from mcp import types  # type: ignore[import-not-found, unused-ignore]  # as above
from mcp.client.sse import (  # type: ignore[import-not-found, unused-ignore]  # the same
    sse_client,
)
from mcp.client.streamable_http import (  # type: ignore[import-not-found, unused-ignore]  # the same
    streamable_http_client,
)


class Session:
    """A `scenario.Session` over `mcp.ClientSession`."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def list_tools(self) -> list[dict[str, Any]]:
        tools: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self._session.list_tools(
                params=types.PaginatedRequestParams(cursor=cursor)
            )
            tools += [_plain(tool) for tool in page.tools]
            cursor = page.nextCursor
            if cursor is None:
                return tools

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        request_id = self._session._request_id  # the SDK has no other way to learn it
        result = None
        try:
            with anyio.move_on_after(cancel_after_s):
                result = await self._session.call_tool(name, arguments, progress_callback=progress)
        except mcp.McpError as error:
            told = error.error
            raise scenario.RpcError(told.code, told.message, told.data) from error
        if result is not None:
            return _plain(result)
        # This SDK forgets a call that is given up; telling the server is left to its user.
        params = types.CancelledNotificationParams(requestId=request_id, reason="given up")
        notification = types.CancelledNotification(params=params)
        await self._session.send_notification(types.ClientNotification(notification))
        return None


def _plain(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


@asynccontextmanager
async def connected(url: str, headers: dict[str, str]) -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams of a connection: over the transport of 2024-11-05 if the URL ends so."""
    if url.endswith("/sse"):
        async with sse_client(url, headers=headers) as (incoming, outgoing):
            yield incoming, outgoing
        return
    async with (
        httpx.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(url, http_client=http) as (incoming, outgoing, _),
    ):
        yield incoming, outgoing


async def main() -> None:
    """Connect, do the steps, disconnect."""
    asked = scenario.read_input()
    headers = {"Authorization": f"Bearer {asked['token']}"} if asked["token"] else {}
    async with (
        connected(asked["url"], headers) as (incoming, outgoing),
        mcp.ClientSession(incoming, outgoing) as session,
    ):
        welcome = await session.initialize()
        scenario.emit(-1, "connected", protocol=welcome.protocolVersion)
        await scenario.run_steps(Session(session), asked["steps"])


if __name__ == "__main__":
    anyio.run(main)
