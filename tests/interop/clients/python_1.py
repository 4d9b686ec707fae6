"""Client driver: the Python SDK 1.x. Run by the interpreter of its own environment.

With `proxy` in the input, an argv, that program is spoken to over stdio, in place of the URL. A URL
that ends in `/sse` is that of the transport of 2024-11-05.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
import httpx  # type: ignore[import-not-found, unused-ignore]  # the same
import mcp  # type: ignore[import-not-found, unused-ignore]  # the same
import scenario  # type: ignore[import-not-found, unused-ignore]  # beside this script
import sign_in  # type: ignore[import-not-found, unused-ignore]  # the same
from mcp import types  # type: ignore[import-not-found, unused-ignore]  # as above
from mcp.client.sse import (  # type: ignore[import-not-found, unused-ignore]  # the same
    sse_client,
)
from mcp.client.stdio import (  # type: ignore[import-not-found, unused-ignore]  # the same
    StdioServerParameters,
    stdio_client,
)
from mcp.client.streamable_http import (  # type: ignore[import-not-found, unused-ignore]  # the same
    streamable_http_client,
)


class Session:
    """A `scenario.Session` over `mcp.ClientSession`."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def list(self, what: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        named = {"templates": "resource_templates"}.get(what, what)
        ask = getattr(self._session, f"list_{named}")
        page = await _answer(ask(params=types.PaginatedRequestParams(cursor=cursor)))
        member = {"templates": "resourceTemplates"}.get(what, what)
        return page[member], page.get("nextCursor")

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        request_id = self._session._request_id  # the SDK has no other way to learn it
        results: list[dict[str, Any]] = []
        with anyio.move_on_after(cancel_after_s):
            call = self._session.call_tool(name, arguments, progress_callback=progress)
            results.append(await _answer(call))
        if results:
            return results[0]
        # This SDK forgets a call that is given up; telling the server is left to its user.
        params = types.CancelledNotificationParams(requestId=request_id, reason="given up")
        notification = types.CancelledNotification(params=params)
        await self._session.send_notification(types.ClientNotification(notification))
        return None

    async def get(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return await _answer(self._session.get_prompt(name, arguments))

    async def read(self, uri: str) -> dict[str, Any]:
        return await _answer(self._session.read_resource(uri))

    async def complete(self, step: dict[str, Any]) -> dict[str, Any]:
        ref = step["ref"]
        is_prompt = ref["type"] == "ref/prompt"
        kind = types.PromptReference if is_prompt else types.ResourceTemplateReference
        argument = {"name": step["argument"]["name"], "value": step["argument"]["value"]}
        return await _answer(self._session.complete(kind(**ref), argument, step.get("context")))

    async def subscribe(self, uri: str) -> None:
        await _answer(self._session.subscribe_resource(uri))

    async def listen(self) -> None:
        """Nothing to do: what the server tells comes by itself."""

    async def level(self, level: str) -> None:
        await _answer(self._session.set_logging_level(level))


async def _answer(asked: Awaitable[Any]) -> dict[str, Any]:
    try:
        return _plain(await asked)
    except mcp.McpError as error:
        told = error.error
        raise scenario.RpcError(told.code, told.message, told.data) from error


def _plain(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


async def _elicit(_: Any, params: Any) -> Any:
    return types.ElicitResult(**scenario.answer_to("elicitation/create", _plain(params)))


async def _sample(_: Any, params: Any) -> Any:
    return types.CreateMessageResult(**scenario.answer_to("sampling/createMessage", _plain(params)))


async def _roots(_: Any) -> Any:
    return types.ListRootsResult(**scenario.answer_to("roots/list", {}))


async def _told(message: Any) -> None:
    if isinstance(message, types.ServerNotification):
        plain = _plain(message.root)
        scenario.told(plain["method"], plain.get("params", {}))


@asynccontextmanager
async def _streams(asked: dict[str, Any]) -> AsyncIterator[tuple[Any, Any]]:
    if "proxy" in asked:
        command, *words = asked["proxy"]
        parameters = StdioServerParameters(command=command, args=words, env=asked["env"])
        async with stdio_client(parameters) as (incoming, outgoing):
            yield incoming, outgoing
        return
    headers = {"Authorization": f"Bearer {asked['token']}"} if asked["token"] else {}
    if asked["url"].endswith("/sse"):
        async with sse_client(asked["url"], headers=headers) as (incoming, outgoing):
            yield incoming, outgoing
        return
    async with (
        httpx.AsyncClient(headers=headers, timeout=60, auth=sign_in.auth_of(asked)) as http,
        streamable_http_client(asked["url"], http_client=http) as (incoming, outgoing, _),
    ):
        yield incoming, outgoing


async def main() -> None:
    """Connect, do the steps, disconnect."""
    asked = scenario.read_input()
    try:
        await _try_to_converse(asked)
    except Exception as error:
        if sign_in.denial_in(error) is None:
            raise
        scenario.emit("done")


async def _try_to_converse(asked: dict[str, Any]) -> None:
    try:
        await _converse(asked)
    except* anyio.BrokenResourceError:
        """This SDK fails if a server on a pipe says something while it is left."""


async def _converse(asked: dict[str, Any]) -> None:
    async with (
        _streams(asked) as (incoming, outgoing),
        mcp.ClientSession(
            incoming,
            outgoing,
            elicitation_callback=_elicit,
            sampling_callback=_sample,
            list_roots_callback=_roots,
            message_handler=_told,
        ) as session,
    ):
        welcome = _plain(await session.initialize())
        scenario.emit("connected", protocol=welcome["protocolVersion"], welcome=welcome)
        await scenario.run_steps(Session(session), asked["steps"])


if __name__ == "__main__":
    anyio.run(main)
