"""Scripted servers and clients that are closed after the test."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from mcptunnel.net.http1 import Client
from tests.net.http1 import Server, until

Serve: TypeAlias = Callable[..., Server]
Connect: TypeAlias = Callable[..., Client]


@pytest.fixture
def serve(running_reactor: Any, free_ports: Callable[[int], list[int]]) -> Iterator[Serve]:
    """Return a function that starts a server: `serve(answer)`, or `serve(answer, ssl=options)`."""
    listening: list[tuple[Server, Any]] = []

    def start(answer: bytes | None = None, ssl: Any = None, port: int | None = None) -> Server:
        server = Server(answer)
        server.port = port or free_ports(1)[0]
        where = {"interface": "127.0.0.1"}
        if ssl is None:
            listening.append((server, running_reactor.listenTCP(server.port, server, **where)))
        else:
            listening.append((server, running_reactor.listenSSL(server.port, server, ssl, **where)))
        return server

    yield start
    for server, port in listening:
        pytest_twisted.blockon(Deferred.fromCoroutine(_stop(server, port)))


async def _stop(server: Server, port: Any) -> None:
    await port.stopListening()
    for visit in server.visits:
        if not visit.lost:
            visit.transport.abortConnection()
    await until(lambda: all(visit.lost for visit in server.visits))


@pytest.fixture
def connect(running_reactor: Any) -> Iterator[Connect]:
    """Return a function that makes a client of a scripted server."""
    clients: list[Client] = []

    def make(server: Server | int, url: str = "http://127.0.0.1:{}", **options: Any) -> Client:
        port = server if isinstance(server, int) else server.port
        client = Client(running_reactor, url.format(port), **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        pytest_twisted.blockon(Deferred.fromCoroutine(client.close()))
