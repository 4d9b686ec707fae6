"""Questions, listens and logs of HTTP servers, of every era."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.server import Site as WebSite

from mcptunnel.agent.servers import http_call, http_stream
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.isolated import IsolatedServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, META, STATES, Caller, in_reactor, request, until
from tests.agent.servers.asking_site import AskingSite

Server: TypeAlias = HttpServer | IsolatedServer
Start: TypeAlias = Callable[..., tuple[Server, AskingSite]]
KEN, EVE = Asker("local|ken", "key-1"), Asker("local|eve", "key-2")
ALL: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
ID = "io.modelcontextprotocol/subscriptionId"
KINDS = pytest.mark.parametrize(
    ("era", "old"), [("modern", False), ("legacy", False), ("legacy", True)]
)
LEGACY_KINDS = pytest.mark.parametrize("old", [False, True])


@pytest.fixture
def start(
    running_reactor: Any, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Return a function that starts a site and attaches a server to it."""
    monkeypatch.setattr(http_stream, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(http_call, "LISTEN_AGAIN_S", 0.01)
    servers: list[Server] = []
    listening: list[Any] = []

    def make(*arguments: str, old: bool = False, **options: Any) -> tuple[Server, AskingSite]:
        site = AskingSite(*arguments, old=old)
        (site.port,) = free_ports(1)
        factory = WebSite(site, timeout=None)
        factory.noisy = False
        listening.append(running_reactor.listenTCP(site.port, factory, interface="127.0.0.1"))
        config = ServerConfig(name="asks", kind="http", url=site.url, **options)

        def one(changed: Callable[[], None]) -> HttpServer:
            return HttpServer(
                running_reactor, config, client_info=CLIENT_INFO, states=STATES, changed=changed
            )

        server: Server = one(lambda: None)
        if config.isolation == "session":
            server = IsolatedServer(running_reactor, config, make=one, changed=lambda: None)
        servers.append(server)
        server.start()
        return server, site

    yield make
    for server in servers:
        pytest_twisted.blockon(Deferred.fromCoroutine(server.stop()))
    for port in listening:
        pytest_twisted.blockon(maybeDeferred(port.stopListening))


def tool(name: str, *, meta: Any = None, **more: Any) -> Request:
    about = {**META, "io.modelcontextprotocol/clientCapabilities": ALL, **(meta or {})}
    return request("tools/call", name=name, _meta=about, **more)


def call(server: Server, made: Request, asker: Asker = KEN) -> Caller:
    caller = Caller()
    server.call(made, caller, asker)
    return caller


def text(caller: Caller) -> Any:
    return json.loads(caller.result["content"][0]["text"])


async def state(server: Server, asker: Asker = KEN) -> Any:
    return text(await call(server, tool("state"), asker).over())


async def ready(server: Server) -> None:
    await until(lambda: server.status.state is ServerState.READY)


def methods(caller: Caller) -> list[str]:
    return [one.method.removeprefix("notifications/") for one in caller.notifications]


@pytest.mark.parametrize("name", ["ask", "sample", "roots"])
@KINDS
@in_reactor
async def test_a_server_asks_a_client_through_two_rounds_of_its_call(
    start: Start, era: str, old: bool, name: str
) -> None:
    server, _ = start(era, old=old)
    await ready(server)
    asked = await call(server, tool(name)).over()
    assert asked.result["resultType"] == "input_required"
    (key,) = asked.result["inputRequests"]
    answer = {"answer": name}
    again = {"inputResponses": {key: answer}, "requestState": asked.result["requestState"]}
    answered = await call(server, tool(name, **again)).over()
    assert text(answered) == ({key: answer} if era == "modern" else [answer])


@in_reactor
async def test_a_stream_says_whose_a_question_is_so_clients_may_share(start: Start) -> None:
    server, _ = start("legacy")
    first = await call(server, tool("ask"), KEN).over()
    second = await call(server, tool("ask"), EVE).over()
    for asker, asked in ((EVE, second), (KEN, first)):
        answer = {"who": asker.principal}
        again = {"inputResponses": {"1": answer}, "requestState": asked.result["requestState"]}
        assert text(await call(server, tool("ask", **again), asker).over()) == [answer]


@in_reactor
async def test_one_stream_for_all_does_not(start: Start) -> None:
    server, _ = start("legacy", old=True)
    await ready(server)
    await call(server, tool("ask"), KEN).over()
    (refused,) = text(await call(server, tool("ask"), EVE).over())
    assert 'isolation = "session"' in refused["message"]


@LEGACY_KINDS
@in_reactor
async def test_isolated_clients_have_sessions_of_their_own(start: Start, old: bool) -> None:
    server, site = start("legacy", old=old, isolation="session")
    await ready(server)
    for asker in (KEN, EVE):
        asked = await call(server, tool("ask"), asker).over()
        assert asked.result["resultType"] == "input_required"
    assert len(site.sessions) == 3
    await server.stop()
    assert len(site.ended) == (0 if old else 3)


@KINDS
@in_reactor
async def test_a_listen_hears_of_changes(start: Start, era: str, old: bool) -> None:
    server, site = start(era, old=old)
    await ready(server)
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
    made = request("subscriptions/listen", "mine", notifications=wanted, _meta=META)
    listener = Caller()
    listening = server.call(made, listener, EVE)
    await until(lambda: listener.notifications)
    await until(lambda: era == "modern" or site.last.listening is not None)
    revision = server.status.revision
    await call(server, tool("change")).over()
    expected = ["subscriptions/acknowledged", "tools/list_changed", "resources/updated"]
    await until(lambda: methods(listener) == expected)
    await until(lambda: server.status.revision > revision)
    ids = [jsonrpc.members(one.params["_meta"])[ID] for one in listener.notifications]
    assert [jsonrpc.decode(one) for one in ids] == ["mine"] * 3
    if era == "legacy":
        assert (await state(server))["subscribed"] == ["file:///a"]
    listening.cancel("gone")
    await until(lambda: site.last.core.state["subscribed"] == [])
    if era == "modern":
        await until(lambda: site.last.core.state["cancelled"] == 1)


@KINDS
@in_reactor
async def test_a_listen_goes_on_when_its_streams_break(start: Start, era: str, old: bool) -> None:
    server, site = start(era, old=old)
    await ready(server)
    wanted = {"toolsListChanged": True}
    made = request("subscriptions/listen", notifications=wanted, _meta=META)
    listener = call(server, made)
    await until(lambda: listener.notifications)
    await until(lambda: era == "modern" or site.last.listening is not None)
    broken = site.last
    for stream in [*broken.streams.values(), broken.listening]:
        if stream is not None:
            stream.transport.abortConnection()
    broken.listening = None
    broken.streams.clear()
    broken.core._listens.clear()
    await until(lambda: site.last.core._listens or site.last.listening)
    await ready(server)
    await until(lambda: era == "legacy" or len(site.last.core._listens) == 2)
    before = len(listener.notifications)
    await call(server, tool("change")).over()
    await until(lambda: len(listener.notifications) > before)
    assert set(methods(listener)[1:]) == {"tools/list_changed"}
    await server.stop()
    assert listener.result["resultType"] == "complete"


@KINDS
@in_reactor
async def test_a_call_hears_what_the_server_logs_from_its_level_on(
    start: Start, era: str, old: bool
) -> None:
    server, _ = start(era, old=old)
    await ready(server)
    level = {"io.modelcontextprotocol/logLevel": "warning"}
    caller = await call(server, tool("log", meta=level)).over()
    levels = [jsonrpc.decode(one.params["level"]) for one in caller.notifications]
    assert levels == ["error"]


@LEGACY_KINDS
@in_reactor
async def test_a_server_is_offered_as_much_as_it_bears(start: Start, old: bool) -> None:
    server, _ = start("legacy", "--strict", old=old)
    await ready(server)
    assert (await state(server))["offered"] == {"elicitation": {}, "sampling": {}, "roots": {}}


@LEGACY_KINDS
@in_reactor
async def test_a_retry_in_another_session_says_that_its_call_is_gone(
    start: Start, old: bool
) -> None:
    server, _ = start("legacy", old=old)
    await ready(server)
    asked = await call(server, tool("ask")).over()
    await server.restart()
    again = {"inputResponses": {}, "requestState": asked.result["requestState"]}
    retried = await call(server, tool("ask", **again)).over()
    assert retried.failure is not None
    assert "while the call waited for answers of its client" in retried.failure.text
    assert retried.failure.outcome is Outcome.UNKNOWN


@in_reactor
async def test_a_cancelled_call_is_told_to_an_old_server(start: Start) -> None:
    server, _ = start("legacy", old=True)
    await ready(server)
    asked = await call(server, tool("ask")).over()
    caller = Caller()
    again = {"inputResponses": {"1": {}}, "requestState": asked.result["requestState"]}
    cancel = server.call(tool("ask", arguments={}, **again), caller, KEN)
    cancel.pause()
    cancel.resume()
    cancel.cancel("gone")
    assert (await state(server))["cancelled"] in (0, 1)


@in_reactor
async def test_an_old_server_that_ends_its_stream_loses_its_calls_and_is_greeted_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, site = start("legacy", old=True)
    await ready(server)
    first = site.last
    lost = call(server, tool("ask", meta={"io.modelcontextprotocol/clientCapabilities": {}}))
    await lost.over()
    monkeypatch.setattr(first.core, "receive", lambda _message: None)  # deaf from now on
    waiting = call(server, tool("state"))
    await until(lambda: site.methods[-2:] == ["answer", "tools/call"])
    first.listening.transport.abortConnection()
    await waiting.over()
    assert waiting.failure is not None
    assert waiting.failure.outcome is Outcome.UNKNOWN
    assert "closed its stream" in waiting.failure.text
    await ready(server)
    assert (await state(server))["offered"]


@in_reactor
async def test_an_endpoint_on_another_host_is_not_used(start: Start) -> None:
    server, site = start("legacy", old=True)
    site.endpoint = "http://127.0.0.2:1/messages/?session_id={}"
    await until(lambda: server.status.state is ServerState.FAILED)
    assert "did not answer initialize as MCP (HTTP status 405)" in server.status.detail
    site.endpoint = f"http://127.0.0.1:{site.port}/messages/?session_id={{}}"
    await ready(server)
    assert server.status.version == "2025-06-18"
