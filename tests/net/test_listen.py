"""Listening ports: they stand at the start or the start fails, and say why."""

import errno
import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from mcptunnel.net import listen
from mcptunnel.net.errors import ListenFailed
from mcptunnel.net.listen import ListeningService, address_text, raise_file_limit, set_no_delay
from tests.conftest import Log, LoggedFailures
from tests.net.loopback import Opens, in_reactor, until


def protocols() -> Any:
    """Return a factory of protocols that do nothing."""
    return Factory.forProtocol(Protocol)


@in_reactor
async def test_it_listens_while_it_runs(running_reactor: Any) -> None:
    """Port 0 becomes a real one, which is gone after the stop; it can start again."""
    service = ListeningService("tcp:0:interface=127.0.0.1", protocols(), running_reactor)
    assert service.address is None
    for _ in range(2):
        service.startService()
        address: Any = service.address
        assert address.host == "127.0.0.1"
        socket.create_connection((address.host, address.port)).close()
        await service.stopService()
        assert service.address is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port))


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (IPv4Address("TCP", "127.0.0.1", 8787), "127.0.0.1:8787"),
        (IPv6Address("TCP", "::1", 8787), "[::1]:8787"),
        (UNIXAddress(b"/run/relay.sock"), "/run/relay.sock"),
        (UNIXAddress(None), "unknown"),
        (None, "unknown"),
    ],
)
def test_addresses_are_told_as_people_write_them(address: object, text: str) -> None:
    assert address_text(address) == text


@in_reactor
async def test_where_it_listens_is_logged(running_reactor: Any, free_port: int, log: Log) -> None:
    on = f"tcp:{free_port}:interface=127.0.0.1"
    service = ListeningService(on, protocols(), running_reactor)
    service.startService()
    assert f"listening on 127.0.0.1:{free_port}" in log.lines
    await service.stopService()


@in_reactor
async def test_accepted_connections_have_no_nagle(running_reactor: Any) -> None:
    """The port passes it on."""
    service = ListeningService("tcp:0:interface=127.0.0.1", protocols(), running_reactor)
    service.startService()
    port: Any = service._port
    assert port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await service.stopService()


@in_reactor
async def test_a_crowd_is_held_until_it_is_accepted(running_reactor: Any) -> None:
    """While the reactor is busy; of more than 50, as Twisted asks for, some would be reset."""
    service = ListeningService("tcp:0:interface=127.0.0.1", protocols(), running_reactor)
    service.startService()
    address: Any = service.address
    crowd = [
        socket.create_connection((address.host, address.port), timeout=0.5) for _ in range(120)
    ]
    for one in crowd:
        one.close()
    await service.stopService()


@in_reactor
async def test_a_backlog_that_is_asked_for_is_kept(running_reactor: Any) -> None:
    on = "tcp:0:interface=127.0.0.1:backlog=1"
    service = ListeningService(on, protocols(), running_reactor)
    service.startService()
    address: Any = service.address
    with ExitStack() as stack:

        def crowd() -> None:
            for _ in range(9):
                where = (address.host, address.port)
                stack.enter_context(socket.create_connection(where, timeout=0.05))

        with pytest.raises(TimeoutError):
            crowd()
    await service.stopService()


@pytest.mark.parametrize("start", ["privilegedStartService", "startService"])
@in_reactor
async def test_a_taken_port_stops_the_start(
    running_reactor: Any, free_port: int, start: str
) -> None:
    """Within the program's whole service, too; the sentence names the port and what to do."""
    program = MultiService()
    service = ListeningService(f"tcp:{free_port}", protocols(), running_reactor)
    service.setServiceParent(program)
    with socket.socket() as other:
        other.bind(("", free_port))
        other.listen()
        with pytest.raises(ListenFailed, match=f"port {free_port} on any address is taken. Stop"):
            getattr(program, start)()
    assert service.address is None
    await service.stopService()


@in_reactor
async def test_a_socket_path(running_reactor: Any, tmp_path: Path) -> None:
    """Not only TCP: there is no Nagle to switch off, and that is no error."""
    service = ListeningService(f"unix:{tmp_path}/relay.sock", protocols(), running_reactor)
    service.startService()
    assert (tmp_path / "relay.sock").exists()
    await service.stopService()


@in_reactor
async def test_a_socket_path_that_cannot_be(running_reactor: Any, tmp_path: Path) -> None:
    """The sentence names the path."""
    service = ListeningService(f"unix:{tmp_path}/no/relay.sock", protocols(), running_reactor)
    with pytest.raises(ListenFailed, match=r"no/relay\.sock"):
        service.startService()


@pytest.mark.parametrize("description", ["", "8787", "nonsense:1", "tcp:http-port", "ssl:0:x=y"])
def test_a_description_that_is_no_endpoint(description: str) -> None:
    """It fails where the service is made, with the description."""
    with pytest.raises(ListenFailed) as caught:
        ListeningService(description, protocols(), MemoryReactorClock())
    assert repr(description) in str(caught.value)


@implementer(IStreamServerEndpoint)
class LateEndpoint:
    """An endpoint that takes its time."""

    def __init__(self) -> None:
        self.listening: Deferred[Any] = Deferred()

    def listen(self, protocolFactory: Any) -> Any:
        return self.listening


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> LateEndpoint:
    """Make every description mean this endpoint."""
    endpoint = LateEndpoint()
    monkeypatch.setattr(listen, "serverFromString", lambda *_arguments: endpoint)
    return endpoint


def test_a_late_failure_is_logged(late: LateEndpoint, logged_failures: LoggedFailures) -> None:
    """The start is long past then."""
    ListeningService("late:", protocols(), None).startService()
    late.listening.errback(OSError("no such network"))
    assert len(logged_failures.take(OSError)) == 1


def test_a_stop_before_it_listens(late: LateEndpoint) -> None:
    """The attempt is cancelled, quietly."""
    service = ListeningService("late:", protocols(), None)
    service.startService()
    stopped = Deferred.fromCoroutine(service.stopService())
    assert stopped.called
    assert late.listening.called


@in_reactor
async def test_a_port_passes_no_delay_on(loopback: Opens) -> None:
    """What a listening socket has is inherited by what it accepts."""
    here = loopback(waits=True)
    set_no_delay(here.listening)
    accepted: list[Any] = []
    build = here.site.buildProtocol

    def watched(address: Any) -> Any:
        protocol = build(address)
        made = protocol.makeConnection

        def making(transport: Any) -> None:
            accepted.append(transport.getTcpNoDelay())
            made(transport)

        protocol.makeConnection = making
        return protocol

    here.site.buildProtocol = watched
    dialling = Deferred.fromCoroutine(here.dial())
    await until(here.reactor, lambda: bool(accepted))
    dialling.addErrback(lambda _cancelled: None)
    dialling.cancel()
    assert accepted[0]


def test_no_delay_leaves_other_ports_alone() -> None:
    """A port without a socket of ours is not touched."""
    port: Any = MemoryReactorClock().listenTCP(0, protocols())
    set_no_delay(port)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the process's limits by a dictionary."""
    held: dict[str, Any] = {"now": (1024, 4096), "error": None}

    def setrlimit(_which: int, limits: tuple[int, int]) -> None:
        if held["error"] is not None:
            raise held["error"]
        held["now"] = limits

    monkeypatch.setattr(resource, "getrlimit", lambda _which: held["now"])
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return held


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((1024, 4096), 4096),
        ((1024, 1 << 30), 50_000),
        ((1024, resource.RLIM_INFINITY), 50_000),
        ((60_000, 1 << 30), 60_000),
        ((4096, 4096), 4096),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), resource.RLIM_INFINITY),
    ],
)
def test_the_file_limit_is_raised(
    limits: dict[str, Any], now: tuple[int, int], expected: int
) -> None:
    """Up to what is wanted, within the hard limit, which stays; never down."""
    limits["now"] = now
    assert raise_file_limit(50_000) == expected
    assert limits["now"] == (expected, now[1])


@pytest.mark.parametrize("refusal", [ValueError("too high"), OSError(errno.EPERM, "no")])
def test_a_system_that_refuses_keeps_its_limit(limits: dict[str, Any], refusal: Exception) -> None:
    """It is not worth a start that fails."""
    limits["error"] = refusal
    assert raise_file_limit() == 1024
