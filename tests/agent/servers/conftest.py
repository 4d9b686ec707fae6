"""HTTP servers and what talks to them, closed after the test; a stdio server without a process."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.server import Site as WebSite

from mcptunnel.agent.servers import stdio
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.net.http1 import Client
from tests.agent import CLIENT_INFO, STATES
from tests.agent.servers import Workshop
from tests.agent.servers.bench import Bench
from tests.agent.servers.http_servers import Rule, Site

Serve: TypeAlias = Callable[..., Site]
Attach: TypeAlias = Callable[..., HttpServer]
Connect: TypeAlias = Callable[[Site], Client]


@pytest.fixture
def serve(running_reactor: Any, free_ports: Callable[[int], list[int]]) -> Iterator[Serve]:
    """Return a function that starts a server with a rule, or again on a known port."""
    listening: list[Any] = []

    def start(rule: Rule, port: int = 0) -> Site:
        site = Site(rule)
        site.port = port or free_ports(1)[0]
        factory = WebSite(site, timeout=None)
        factory.noisy = False
        listening.append(running_reactor.listenTCP(site.port, factory, interface="127.0.0.1"))
        return site

    yield start
    for one in listening:
        pytest_twisted.blockon(maybeDeferred(one.stopListening))


@pytest.fixture
def attach(running_reactor: Any) -> Iterator[Attach]:
    """Return a function that starts an `HttpServer` for a URL or a site."""
    servers: list[HttpServer] = []

    def make(where: Site | str, **options: Any) -> HttpServer:
        url = where.url if isinstance(where, Site) else where
        config = ServerConfig(name="web", kind="http", url=url, **options)
        server = HttpServer(
            running_reactor, config, client_info=CLIENT_INFO, states=STATES, changed=lambda: None
        )
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        pytest_twisted.blockon(Deferred.fromCoroutine(server.stop()))


@pytest.fixture
def connect(running_reactor: Any) -> Iterator[Connect]:
    """Return a function that makes an HTTP client of a site."""
    clients: list[Client] = []

    def make(site: Site) -> Client:
        clients.append(Client(running_reactor, site.url))
        return clients[-1]

    yield make
    for client in clients:
        pytest_twisted.blockon(Deferred.fromCoroutine(client.close()))


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop()
    monkeypatch.setattr(stdio, "ChildProcess", made)
    return made


@pytest.fixture
def bench(workshop: Workshop) -> Bench:
    return Bench(workshop)
