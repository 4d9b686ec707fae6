"""An HTTP server of both eras: a session for legacy clients beside the modern requests of all others."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import Site as WebSite

from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.two_eras import TwoEras
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, META, STATES, Caller, in_reactor, request, until
from tests.agent.servers.asking_site import AskingSite

KEN = Asker("local|ken", "key-1")
OLDER = replace(KEN, era=Era.LEGACY)
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


class Site(Resource):
    """One endpoint for both eras, or for the modern one alone."""

    isLeaf = True

    def __init__(self, *, both: bool) -> None:
        super().__init__()
        self.modern, self.legacy = AskingSite("modern"), AskingSite("legacy")
        self._both = both

    def _of(self, request: Any) -> AskingSite:
        begins = b'"initialize"' in request.content.getvalue()
        has_session = request.getHeader("mcp-session-id") is not None
        return self.legacy if self._both and (begins or has_session) else self.modern

    def render_GET(self, request: Any) -> Any:
        return self._of(request).render_GET(request)

    def render_DELETE(self, request: Any) -> bytes:
        return self._of(request).render_DELETE(request)

    def render_POST(self, request: Any) -> Any:
        return self._of(request).render_POST(request)


Start: TypeAlias = Callable[..., tuple[TwoEras, Site]]


@pytest.fixture
def start(running_reactor: Any, free_ports: Callable[[int], list[int]]) -> Iterator[Start]:
    """Return a function that starts a site and attaches a server to it."""
    servers: list[TwoEras] = []
    listening: list[Any] = []

    def make(*, both: bool = True, **options: Any) -> tuple[TwoEras, Site]:
        site = Site(both=both)
        (port,) = free_ports(1)
        factory = WebSite(site, timeout=None)
        factory.noisy = False
        listening.append(running_reactor.listenTCP(port, factory, interface="127.0.0.1"))
        url = f"http://127.0.0.1:{port}/mcp"
        config = ServerConfig(name="asks", kind="http", url=url, **options)

        def one(changed: Callable[[], None], *, probe: bool) -> HttpServer:
            return HttpServer(
                running_reactor,
                config,
                client_info=CLIENT_INFO,
                states=STATES,
                changed=changed,
                probe=probe,
            )

        server = TwoEras(running_reactor, config, make=one, states=STATES, changed=lambda: None)
        servers.append(server)
        server.start()
        return server, site

    yield make
    for server in servers:
        pytest_twisted.blockon(Deferred.fromCoroutine(server.stop()))
    for port in listening:
        pytest_twisted.blockon(maybeDeferred(port.stopListening))


def ask(**more: Any) -> Request:
    about = {**META, CAPABILITIES: {"elicitation": {}}}
    return request("tools/call", name="ask", _meta=about, **more)


async def called(server: TwoEras, made: Request, asker: Asker) -> Caller:
    caller = Caller()
    server.call(made, caller, asker)
    return await caller.over()


@in_reactor
async def test_each_client_is_served_in_its_era(start: Start) -> None:
    """A legacy client's question comes in a session, through both rounds; calls do not wait for a start."""
    server, site = start()
    asked = await called(server, ask(), OLDER)
    (key,) = asked.result["inputRequests"]
    assert site.legacy.methods[-1] == "tools/call"
    assert "tools/call" not in site.modern.methods
    again = {"inputResponses": {key: {"a": 1}}, "requestState": asked.result["requestState"]}
    answered = await called(server, ask(**again), OLDER)
    assert json.loads(answered.result["content"][0]["text"]) == [{"a": 1}]
    await called(server, ask(), KEN)
    assert site.modern.methods[-1] == "tools/call"
    assert server.status.era == "modern"


@in_reactor
async def test_there_is_one_session_for_all_legacy_clients_and_it_ends(start: Start) -> None:
    server, site = start(idle_s=0.2)
    for client in ("key-1", "key-2"):
        await called(
            server, request("tools/call", name="state", _meta=META), replace(OLDER, client=client)
        )
    assert len(site.legacy.sessions) == 1
    assert len(site.legacy.ended) == 1, "that which showed that there are sessions"
    await until(lambda: len(site.legacy.ended) == 2)
    assert not site.legacy.sessions


@in_reactor
async def test_answers_to_a_session_that_is_over_go_nowhere(start: Start) -> None:
    server, site = start()
    asked = await called(server, ask(), OLDER)
    await server.restart()
    await until(lambda: server.status.state is ServerState.READY)
    again = {"inputResponses": {}, "requestState": asked.result["requestState"]}
    retried = await called(server, ask(**again), OLDER)
    assert retried.failure is not None
    assert retried.failure.outcome is Outcome.UNKNOWN
    assert "while the call waited for answers of its client" in retried.failure.text
    assert "tools/call" not in site.modern.methods


@in_reactor
async def test_a_modern_server_is_spoken_to_in_its_own_era(start: Start) -> None:
    server, site = start(both=False)
    asked = await called(server, ask(), OLDER)
    assert asked.result["resultType"] == "input_required"
    assert site.modern.methods.count("initialize") == 1
    await called(server, ask(), OLDER)
    assert site.modern.methods.count("initialize") == 1


@in_reactor
async def test_the_hub_hears_what_changes_in_the_session(start: Start) -> None:
    server, site = start(idle_s=0.5)
    await until(lambda: server.status.state is ServerState.READY)
    hub, listener = replace(KEN, client=""), Caller()
    wanted = {"resourceSubscriptions": ["file:///a"]}
    made = request("subscriptions/listen", notifications=wanted, _meta=META)
    server.call(made, listener, hub)
    await until(lambda: listener.notifications)
    await called(server, request("tools/call", name="state", _meta=META), OLDER)
    await until(lambda: site.legacy.last.listening is not None)
    await until(lambda: site.legacy.last.core.state["subscribed"] == ["file:///a"])
    await called(server, request("tools/call", name="change", _meta=META), OLDER)
    updated = "notifications/resources/updated"
    await until(lambda: listener.notifications[-1].method == updated)
    await until(lambda: not site.legacy.sessions)
    assert not listener.is_over
