"""Client driver: the Python SDK 2.x. Run by the interpreter of its own environment."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
import httpx2  # type: ignore[import-not-found, unused-ignore]  # the same
import mcp  # type: ignore[import-not-found, unused-ignore]  # the same
import scenario  # type: ignore[import-not-found, unused-ignore]  # beside this script
import sign_in  # type: ignore[import-not-found, unused-ignore]  # the same
from mcp import types  # type: ignore[import-not-found, unused-ignore]  # as above
from mcp.client.sse import (  # type: ignore[import-not-found, unused-ignore]  # the same
    sse_client,
)
from mcp.client.streamable_http import (  # type: ignore[import-not-found, unused-ignore]  # the same
    streamable_http_client,
)

MODERN = "2026-07-28"


class Session:
    """A `scenario.Session` over `mcp.Client`; its listens run in `tasks`."""

    def __init__(self, client: Any, tasks: Any) -> None:
        self._client = client
        self._tasks = tasks

    @property
    def _is_modern(self) -> bool:
        return bool(self._client.protocol_version >= MODERN)

    async def list(self, what: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        named = {"templates": "resource_templates"}.get(what, what)
        page = await _answer(getattr(self._client, f"list_{named}")(cursor=cursor))
        member = {"templates": "resourceTemplates"}.get(what, what)
        return page[member], page.get("nextCursor")

    async def call(
        self,
        name: str,
        arguments: dict[str, Any],
        progress: Callable[[float, float | None, str | None], Awaitable[None]],
        cancel_after_s: float | None,
    ) -> dict[str, Any] | None:
        results: list[dict[str, Any]] = []
        with anyio.move_on_after(cancel_after_s):
            call = self._client.call_tool(name, arguments, progress_callback=progress)
            results.append(await _answer(call))
        return results[0] if results else None

    async def get(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return await _answer(self._client.get_prompt(name, arguments))

    async def read(self, uri: str) -> dict[str, Any]:
        return await _answer(self._client.read_resource(uri))

    async def complete(self, step: dict[str, Any]) -> dict[str, Any]:
        ref = step["ref"]
        is_prompt = ref["type"] == "ref/prompt"
        kind = types.PromptReference if is_prompt else types.ResourceTemplateReference
        argument = {"name": step["argument"]["name"], "value": step["argument"]["value"]}
        return await _answer(self._client.complete(kind(**ref), argument, step.get("context")))

    async def subscribe(self, uri: str) -> None:
        if self._is_modern:
            await self._tasks.start(self._listen, {"resource_subscriptions": [uri]})
        else:
            await _answer(self._client.subscribe_resource(uri))

    async def listen(self) -> None:
        """Ask for the lists' changes; in the older era they come by themselves."""
        if self._is_modern:
            await self._tasks.start(
                self._listen, {"tools_list_changed": True, "prompts_list_changed": True}
            )

    async def _listen(self, wanted: dict[str, Any], *, task_status: Any) -> None:
        try:
            async with self._client.listen(**wanted) as listening:
                task_status.started()
                async for _ in listening:
                    pass  # the message callback has heard of it
        except mcp.MCPError as error:
            scenario.emit("error", code=error.code, message=error.message, data=error.data)
            task_status.started()

    async def level(self, level: str) -> None:
        """Set the level; in the newer era every request of ours names one."""
        if not self._is_modern:
            await _answer(self._client.set_logging_level(level))


async def _answer(asked: Awaitable[Any]) -> dict[str, Any]:
    try:
        return _plain(await asked)
    except mcp.MCPError as error:
        raise scenario.RpcError(error.code, error.message, error.data) from error


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
    if not isinstance(message, Exception):
        plain = _plain(message)
        scenario.told(plain["method"], plain.get("params", {}))


async def main() -> None:
    """Connect, do the steps, disconnect."""
    asked = scenario.read_input()
    try:
        await _converse(asked)
    except Exception as error:
        if sign_in.denial_in(error) is None:
            raise
        scenario.emit("done")


async def _converse(asked: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {asked['token']}"} if asked["token"] else {}
    auth = sign_in.auth_of(asked)
    async with httpx2.AsyncClient(headers=headers, timeout=60, auth=auth) as http:
        if asked["url"].endswith("/sse"):
            transport = sse_client(asked["url"], headers=headers)
        else:
            transport = streamable_http_client(asked["url"], http_client=http)
        client = mcp.Client(
            transport,
            mode=asked["mode"],
            elicitation_callback=_elicit,
            sampling_callback=_sample,
            list_roots_callback=_roots,
            message_handler=_told,
            log_level="info",
        )
        async with client, anyio.create_task_group() as tasks:
            scenario.emit("connected", protocol=client.protocol_version)
            await scenario.run_steps(Session(client, tasks), asked["steps"])
            tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
