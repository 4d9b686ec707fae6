"""The agent between a modern client and the official server that asks, over all legacy transports."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.stdio import StdioServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.service import Asker
from tests.agent import CLIENT_INFO, META, STATES, Caller, in_reactor, request, until
from tests.interop.cases import everything
from tests.interop.processes import Process, free_port, is_open, wait_until

ASKER = Asker("local|ken", "key-1")
CAPABILITIES: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
ABOUT = {**META, "io.modelcontextprotocol/clientCapabilities": CAPABILITIES}
RESOURCE = "demo://resource/static/document/features.md"
START_TIMEOUT_S = 30.0
"""A Node program on a busy machine."""

QUESTIONS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "trigger-elicitation-request": (
        "elicitation/create",
        {},
        {"action": "accept", "content": {"name": "Ken", "check": True}},
        "Ken",
    ),
    "trigger-url-elicitation": (
        "elicitation/create",
        {"url": "https://example.org/sign-in"},
        {"action": "accept"},
        "accept",
    ),
    "trigger-sampling-request": (
        "sampling/createMessage",
        {"prompt": "Say it."},
        {"role": "assistant", "content": {"type": "text", "text": "I said it."}, "model": "m"},
        "I said it.",
    ),
}
"""Of each tool: what it asks, its arguments, the answer, and what of that is in its result."""


@pytest.fixture(params=["stdio", "streamableHttp", "sse"])
def config(
    request: pytest.FixtureRequest,
    installed: None,  # noqa: ARG001 - for its effect
    tmp_path: Path,
) -> Iterator[ServerConfig]:
    """Return how a server is reached, which runs until the end of the test."""
    transport: str = request.param
    if transport == "stdio":
        yield ServerConfig(name="everything", kind="stdio", command=tuple(everything("stdio")))
        return
    port = free_port()
    env = {**os.environ, "PORT": str(port)}
    process = Process("everything", everything(transport), log=tmp_path / "log", env=env)
    try:
        wait_until(lambda: is_open(port), START_TIMEOUT_S, "the server to listen")
        path = "sse" if transport == "sse" else "mcp"
        yield ServerConfig(name="everything", kind="http", url=f"http://127.0.0.1:{port}/{path}")
    finally:
        process.kill()


@asynccontextmanager
async def running(reactor: Any, config: ServerConfig) -> AsyncIterator[StdioServer | HttpServer]:
    """Attach the agent's end to the server."""
    kind = StdioServer if config.kind == "stdio" else HttpServer
    server = kind(reactor, config, client_info=CLIENT_INFO, states=STATES, changed=lambda: None)
    server.start()
    try:
        await until(lambda: server.status.state is ServerState.READY)
        yield server
    finally:
        await server.stop()


async def called(server: Any, name: str, **params: Any) -> Any:
    caller = Caller()
    made = request("tools/call", name=name, _meta=ABOUT, **params)
    server.call(made, caller, ASKER)
    return (await caller.over()).result


@in_reactor
async def test_questions_are_answered_in_the_next_round(
    running_reactor: Any, config: ServerConfig
) -> None:
    async with running(running_reactor, config) as server:
        for name, (method, arguments, answer, said) in QUESTIONS.items():
            asked = await called(server, name, arguments=arguments)
            ((key, question),) = asked["inputRequests"].items()
            assert question["method"] == method
            again = {"inputResponses": {key: answer}, "requestState": asked["requestState"]}
            result = await called(server, name, arguments=arguments, **again)
            assert said in str(result["content"])


@in_reactor
async def test_a_listen_hears_of_a_resource(running_reactor: Any, config: ServerConfig) -> None:
    async with running(running_reactor, config) as server:
        listener = Caller()
        wanted = {"resourceSubscriptions": [RESOURCE]}
        server.call(
            request("subscriptions/listen", "mine", notifications=wanted, _meta=ABOUT),
            listener,
            ASKER,
        )
        await called(server, "toggle-subscriber-updates", arguments={})
        await until(lambda: len(listener.notifications) > 1)
        assert [one.method for one in listener.notifications[:2]] == [
            "notifications/subscriptions/acknowledged",
            "notifications/resources/updated",
        ]
    assert listener.result["resultType"] == "complete"
