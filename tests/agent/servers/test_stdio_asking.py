"""Questions, listens and logs of real processes, of either era."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from mcptunnel.agent.servers import kept
from mcptunnel.agent.servers.isolated import IsolatedServer
from mcptunnel.agent.servers.stdio import StdioServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import client_capabilities, jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Notification, Request
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, META, STATES, Caller, in_reactor, request, until

SCRIPT = str(Path(__file__).with_name("asking_server.py"))
Server: TypeAlias = StdioServer | IsolatedServer
Start: TypeAlias = Callable[..., Server]
KEN, EVE = Asker("local|ken", "key-1"), Asker("local|eve", "key-2")
ALL: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
ID = "io.modelcontextprotocol/subscriptionId"
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture
def start(
    running_reactor: Any,
    monkeypatch: pytest.MonkeyPatch,
    no_child_left: None,  # noqa: ARG001 - for its effect
) -> Iterator[Start]:
    """Return a function that starts a server; after the test no process is left."""
    monkeypatch.setattr(kept, "SWEEP_INTERVAL_S", 0.05)
    servers: list[Server] = []

    def make(*arguments: str, **options: Any) -> Server:
        command = (sys.executable, SCRIPT, *arguments)
        config = ServerConfig(name="asks", kind="stdio", command=command, **options)

        def one(changed: Callable[[], None]) -> StdioServer:
            return StdioServer(
                running_reactor, config, client_info=CLIENT_INFO, states=STATES, changed=changed
            )

        isolated = config.isolation == "session"
        server = (
            IsolatedServer(running_reactor, config, make=one, changed=lambda: None)
            if isolated
            else one(lambda: None)
        )
        servers.append(server)
        server.start()
        return server

    yield make
    stopping = [Deferred.fromCoroutine(server.stop()) for server in servers]
    pytest_twisted.blockon(gatherResults(stopping))


def tool(name: str, *, meta: Any = None, **more: Any) -> Request:
    """A call of a client that can be asked anything."""
    about = {**META, "io.modelcontextprotocol/clientCapabilities": ALL, **(meta or {})}
    return request("tools/call", name=name, _meta=about, **more)


def call(server: Server, made: Request, asker: Asker = KEN) -> Caller:
    caller = Caller()
    server.call(made, caller, asker)
    return caller


def text(caller: Caller) -> Any:
    """What a tool said, decoded."""
    return json.loads(caller.result["content"][0]["text"])


async def called(server: Server, made: Request, asker: Asker = KEN) -> Any:
    return (await call(server, made, asker).over()).result


async def state(server: Server, asker: Asker = KEN) -> Any:
    return json.loads((await called(server, tool("state"), asker))["content"][0]["text"])


async def ready(server: Server) -> Server:
    await until(lambda: server.status.state is ServerState.READY)
    return server


def told(caller: Caller) -> list[tuple[str, Any]]:
    """What a listener heard: methods, and ids of the listen."""
    return [(one.method, jsonrpc.members(one.params["_meta"])[ID]) for one in caller.notifications]


def methods(notifications: list[Notification]) -> list[str]:
    return [one.method.removeprefix("notifications/") for one in notifications]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ask", {"action": "accept", "content": {"name": "Ken"}}),
        ("sample", {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"}),
        ("roots", {"roots": [{"uri": "file:///home/ken"}]}),
    ],
)
@ERAS
@in_reactor
async def test_a_server_asks_a_client_through_two_rounds_of_its_call(
    start: Start, era: str, name: str, answer: dict[str, Any]
) -> None:
    server = await ready(start(era))
    asked = await called(server, tool(name))
    assert asked["resultType"] == "input_required"
    ((key, question),) = asked["inputRequests"].items()
    assert question["method"] in {"elicitation/create", "sampling/createMessage", "roots/list"}
    answers = {"inputResponses": {key: answer}, "requestState": asked["requestState"]}
    said = text(await call(server, tool(name, **answers)).over())
    assert said == ({key: answer} if era == "modern" else [answer])


@in_reactor
async def test_many_rounds_with_progress_on_each(start: Start) -> None:
    server = await ready(start("legacy"))
    again: dict[str, Any] = {}
    for step in range(1, 4):
        made = tool("ask", arguments={"times": 3}, meta={"progressToken": f"round {step}"}, **again)
        caller = await call(server, made).over()
        assert caller.result["resultType"] == "input_required"
        # The first progress came before the question; later ones follow the answer.
        (progress,) = caller.notifications
        assert jsonrpc.decode(progress.params["progressToken"]) == f"round {step}"
        answers = {str(step): {"action": "accept", "content": {"step": step}}}
        again = {"inputResponses": answers, "requestState": caller.result["requestState"]}
    caller = await call(server, tool("ask", arguments={"times": 3}, **again)).over()
    assert [one["content"]["step"] for one in text(caller)] == [1, 2, 3]


@in_reactor
async def test_what_a_client_did_not_declare_is_refused_to_the_server(start: Start) -> None:
    server = await ready(start("legacy"))
    for name, code in (("ask", -32602), ("sample", -1), ("roots", -32601)):
        (refused,) = text(await call(server, request("tools/call", name=name, _meta=META)).over())
        assert refused["code"] == code


@in_reactor
async def test_a_shared_server_that_works_for_two_asks_neither(start: Start) -> None:
    server = await ready(start("legacy"))
    first = await call(server, tool("ask")).over()
    (refused,) = text(await call(server, tool("ask"), EVE).over())
    assert 'isolation = "session"' in refused["message"]
    assert first.result["resultType"] == "input_required"


@in_reactor
async def test_isolated_clients_are_asked_each_by_a_process_of_its_own(start: Start) -> None:
    server = await ready(start("legacy", isolation="session", max_children=2))
    parked = [await call(server, tool("ask"), asker).over() for asker in (KEN, EVE)]
    third = await call(server, tool("state"), Asker("local|ken", "key-3")).over()
    assert third.failure is not None
    assert third.failure.outcome is Outcome.NOT_DELIVERED
    assert "raise max_children" in third.failure.text
    for asker, caller in zip((KEN, EVE), parked, strict=True):
        again = {
            "inputResponses": {"1": {"action": "decline"}},
            "requestState": caller.result["requestState"],
        }
        answered = await call(server, tool("ask", **again), asker).over()
        assert text(answered) == [{"action": "decline"}]
    pids = {(await state(server, asker))["pid"] for asker in (KEN, EVE, NOBODY)}
    assert len(pids) == 3


@in_reactor
async def test_a_retry_after_a_crash_says_that_its_call_is_gone(start: Start) -> None:
    server = await ready(start("legacy"))
    asked = await call(server, tool("ask")).over()
    crashed = await call(server, tool("crash")).over()
    assert crashed.failure is not None
    await until(lambda: server.status.restarts == 1)
    again = {"inputResponses": {}, "requestState": asked.result["requestState"]}
    retried = await call(server, tool("ask", **again)).over()
    assert retried.failure is not None
    assert "ended while the call waited for answers of its client" in retried.failure.text
    assert retried.failure.outcome is Outcome.UNKNOWN


@ERAS
@in_reactor
async def test_a_listen_hears_of_changes_before_and_after_a_crash(start: Start, era: str) -> None:
    """It goes on under its own id; after a stop it ends with a result."""
    server = await ready(start(era))
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
    made = request("subscriptions/listen", "mine", notifications=wanted, _meta=META)
    listener = call(server, made)
    await until(lambda: listener.notifications)
    (ack,) = listener.notifications
    assert ack.method == "notifications/subscriptions/acknowledged"
    assert jsonrpc.decode(ack.params["notifications"]) == wanted
    await called(server, tool("change"), EVE)
    expected = ["subscriptions/acknowledged", "tools/list_changed", "resources/updated"]
    await until(lambda: methods(listener.notifications) == expected)
    revision = server.status.revision
    call(server, tool("crash"))
    await until(lambda: len(listener.notifications) == 4)
    assert methods(listener.notifications)[3] == "tools/list_changed"
    await until(lambda: server.status.revision > revision)
    await called(server, tool("change"), EVE)
    await until(lambda: len(listener.notifications) == 6)
    assert methods(listener.notifications)[4:] == expected[1:]
    assert {jsonrpc.decode(own) for _, own in told(listener)} == {"mine"}
    assert not listener.is_over
    await server.stop()
    assert listener.result == {"resultType": "complete", "_meta": {ID: "mine"}}


@in_reactor
async def test_a_restart_that_was_ordered_does_not_end_a_listen(start: Start) -> None:
    server = await ready(start("legacy"))
    made = request("subscriptions/listen", notifications={"toolsListChanged": True}, _meta=META)
    listener = call(server, made)
    await server.restart()
    await ready(server)
    await called(server, tool("change"))
    expected = ["subscriptions/acknowledged", *["tools/list_changed"] * 2]
    await until(lambda: methods(listener.notifications) == expected)


@in_reactor
async def test_resources_are_subscribed_to_for_as_long_as_somebody_listens(start: Start) -> None:
    server = await ready(start("legacy"))
    made = request(
        "subscriptions/listen", notifications={"resourceSubscriptions": ["file:///a"]}, _meta=META
    )
    first, second = (server.call(made, Caller(), asker) for asker in (KEN, EVE))
    assert (await state(server))["subscribed"] == ["file:///a"]
    first.cancel("gone")
    assert (await state(server))["subscribed"] == ["file:///a"]
    second.cancel("gone")
    assert (await state(server))["subscribed"] == []


@in_reactor
async def test_a_call_hears_what_the_server_logs_from_its_level_on(start: Start) -> None:
    server = await ready(start("legacy"))
    level = {"io.modelcontextprotocol/logLevel": "warning"}
    caller = await call(server, tool("log", meta=level)).over()
    assert [jsonrpc.decode(one.params["level"]) for one in caller.notifications] == ["error"]
    assert text(caller)["level"] == "warning"
    silent = await call(server, tool("log")).over()
    assert silent.notifications == []


@pytest.mark.parametrize(
    ("flag", "offered"),
    [
        ("--strict", {"elicitation": {}, "sampling": {}, "roots": {}}),
        ("--mute", {}),
        ("", json.loads(bytes(client_capabilities.ALL))),
    ],
)
@in_reactor
async def test_a_server_is_offered_as_much_as_it_bears(
    start: Start, flag: str, offered: object
) -> None:
    """Less on the same process if it complains, on the next one if it dies."""
    server = await ready(start("legacy", flag))
    assert (await state(server))["offered"] == offered
