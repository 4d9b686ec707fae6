"""Links over real sockets on the loopback: TLS, Nagle, backpressure, and nothing left behind."""

import datetime as dt
import gc
import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.server import Site

from mcptunnel.net import websocket
from mcptunnel.net.errors import ConnectFailed
from mcptunnel.net.link import LinkLost
from mcptunnel.net.listen import set_no_delay
from tests.net.test_websocket import Door, Raw, Recorder, frame, request

WAIT_S = 10.0

_Test = TypeVar("_Test", bound=Callable[..., Awaitable[None]])
in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred

# Twisted still hands pyOpenSSL its own kind of certificates.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


class Authority:
    """A private certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self._key, None)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        names: x509.SubjectAlternativeName | None,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = subject if names is None else self.certificate.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def server_options(self, name: x509.GeneralName) -> ssl.CertificateOptions:
        """Return TLS options of a server that is called `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("server", key, x509.SubjectAlternativeName([name]))
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        both: Any = ssl.PrivateCertificate.loadPEM(private + certificate.public_bytes(pem))
        options: ssl.CertificateOptions = both.options()
        return options

    def client_options(self, host: str) -> Any:
        """Return TLS options of a client that trusts this authority alone."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        trusted: Any = ssl.Certificate.loadPEM(pem)
        return ssl.optionsForClientTLS(host, trustRoot=trusted)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One authority for all tests here."""
    return Authority()


async def until(reactor: Any, condition: Callable[[], bool]) -> None:
    """Turn the reactor until something holds; fail when it does not in time."""
    deadline_s = reactor.seconds() + WAIT_S
    while not condition():
        assert reactor.seconds() < deadline_s, "it never came to be"
        await deferLater(reactor, 0.002)


class Loopback:
    """A relay's end on a port of the loopback."""

    def __init__(self, reactor: Any, port: int, *, tls: Any = None, waits: bool = False) -> None:
        self.reactor = reactor
        self.port = port
        self.server = Recorder()
        self.client = Recorder()
        self.door = Door(self.server, reactor, waits=waits)
        self.site: Any = Site(self.door, reactor=reactor)
        self.is_tls = tls is not None
        if tls is None:
            self.listening = reactor.listenTCP(port, self.site, interface="127.0.0.1")
        else:
            self.listening = reactor.listenSSL(port, self.site, tls, interface="127.0.0.1")

    def dial(self, **options: Any) -> Any:
        """Connect; return the coroutine."""
        scheme = "https" if self.is_tls else "http"
        options.setdefault("headers", {"Authorization": "Bearer secret"})
        return websocket.connect(
            f"{scheme}://127.0.0.1:{self.port}/tunnel",
            receiver=self.client,
            reactor=self.reactor,
            **options,
        )

    async def opened(self) -> None:
        """Wait until the relay's end is up: the agent's is first."""
        await until(self.reactor, lambda: bool(self.server.events))

    async def stop(self) -> None:
        """Close the port, and wait until the links are gone on both ends."""
        await self.listening.stopListening()
        for end in (self.client, self.server):
            if end.events and not end.lost:
                end.link.abort()
        await until(
            self.reactor,
            lambda: all(end.lost or not end.events for end in (self.client, self.server)),
        )
        gc.collect()


Opens = Callable[..., Loopback]


@pytest.fixture
def loopback(running_reactor: Any, free_port: int) -> Iterator[Opens]:
    """Return a function that opens a relay's end, which is stopped after the test."""
    made: list[Loopback] = []

    def opens(**options: Any) -> Loopback:
        made.append(Loopback(running_reactor, free_port, **options))
        return made[-1]

    yield opens
    for one in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(one.stop()))


def transport_of(end: Recorder) -> Any:
    """Return the Twisted transport under a link."""
    link: Any = end.link
    return link._protocol.transport


@in_reactor
async def test_nagle_is_off_on_both_ends(loopback: Opens) -> None:
    """Autobahn's option for that has no effect on Twisted; 40 ms per message would be the price."""
    here = loopback()
    await here.dial()
    await here.opened()
    assert transport_of(here.client).getTcpNoDelay()
    assert transport_of(here.server).getTcpNoDelay()
    assert here.server.link.peer.startswith("127.0.0.1:")
    assert here.client.link.peer == f"127.0.0.1:{here.port}"


@in_reactor
async def test_tls_with_a_private_authority(loopback: Opens, authority: Authority) -> None:
    """Messages pass both ways, big ones too, Nagle is off, and closing is clean."""
    here = loopback(tls=authority.server_options(LOOPBACK))
    link = await here.dial(tls_options=authority.client_options("127.0.0.1"))
    await here.opened()
    assert transport_of(here.client).getTcpNoDelay()
    assert transport_of(here.server).getTcpNoDelay()
    big = bytes(range(256)) * 3000
    link.send_message(big)
    here.server.link.send_message(big)
    await until(here.reactor, lambda: bool(here.server.messages and here.client.messages))
    assert here.server.messages == here.client.messages == [big]
    here.server.link.close(4002, "done")
    await until(here.reactor, lambda: bool(here.client.lost and here.server.lost))
    assert here.client.lost == here.server.lost == [LinkLost(clean=True, code=4002, text="done")]


@in_reactor
async def test_a_certificate_that_is_not_trusted(loopback: Opens, authority: Authority) -> None:
    """The failure says that it was the certificate; the credential was never sent."""
    here = loopback(tls=authority.server_options(LOOPBACK))
    with pytest.raises(ConnectFailed, match="not one that this machine trusts"):
        await here.dial()
    assert here.door.authorization is None


@in_reactor
async def test_a_certificate_for_another_name(loopback: Opens, authority: Authority) -> None:
    """The failure says that it was the name; the credential was never sent."""
    here = loopback(tls=authority.server_options(x509.DNSName("other.test")))
    with pytest.raises(ConnectFailed, match="certificate is for another name"):
        await here.dial(tls_options=authority.client_options("127.0.0.1"))
    await deferLater(here.reactor, 0.02)
    assert here.door.authorization is None
    assert here.server.events == []


class Blunt(Protocol):
    """Answers a TLS hello with plain text."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@in_reactor
async def test_https_to_a_port_that_speaks_http(
    running_reactor: Any, free_port: int, authority: Authority
) -> None:
    """The failure says that it was TLS."""
    factory: Any = Factory.forProtocol(Blunt)
    listening = running_reactor.listenTCP(free_port, factory, interface="127.0.0.1")
    try:
        with pytest.raises(ConnectFailed, match="TLS failed"):
            await websocket.connect(
                f"https://127.0.0.1:{free_port}",
                receiver=Recorder(),
                reactor=running_reactor,
                headers={},
                tls_options=authority.client_options("127.0.0.1"),
            )
    finally:
        await listening.stopListening()


@in_reactor
async def test_http_to_a_port_that_speaks_tls(loopback: Opens, authority: Authority) -> None:
    """Plain HTTP gets no answer that is HTTP."""
    here = loopback(tls=authority.server_options(LOOPBACK))
    here.is_tls = False
    with pytest.raises(ConnectFailed, match=r"not HTTP|without an answer"):
        await here.dial()


@pytest.mark.parametrize("tls", [False, True])
@in_reactor
async def test_a_reader_that_stops_pauses_the_sender(
    loopback: Opens, authority: Authority, tls: bool
) -> None:
    """Over some 64 KiB in the transport the receiver is paused; when it has drained, resumed."""
    here = loopback(tls=authority.server_options(LOOPBACK) if tls else None)
    link = await here.dial(tls_options=authority.client_options("127.0.0.1") if tls else None)
    await here.opened()
    transport_of(here.server).pauseProducing()
    message = bytes(32 * 1024)
    sent = 0
    while here.client.events[-1] != "paused":
        link.send_message(message)
        sent += 1
        assert sent < 1000
        await deferLater(here.reactor, 0)
    unsent = transport_of(here.client)
    unsent = unsent.transport if tls else unsent
    assert len(unsent.dataBuffer) + unsent._tempDataLen < 256 * 1024
    transport_of(here.server).resumeProducing()
    await until(here.reactor, lambda: len(here.server.messages) == sent)
    await until(here.reactor, lambda: here.client.events[-1] == "resumed")
    turns = here.client.events[1:]
    assert turns == ["paused", "resumed"] * (len(turns) // 2)


@in_reactor
async def test_a_peer_that_reads_nothing_cannot_hold_a_closing_link(
    loopback: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for the buffer to drain, but not for ever."""
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.1)
    here = loopback()
    link = await here.dial()
    await here.opened()
    transport_of(here.server).pauseProducing()
    while "paused" not in here.client.events:
        link.send_message(bytes(256 * 1024))
    link.close(4003)
    await until(here.reactor, lambda: bool(here.client.lost))
    assert here.client.lost[0].clean is False
    assert here.client.lost[0].code == 4003


@in_reactor
async def test_what_comes_while_the_caller_waits_is_not_lost(loopback: Opens) -> None:
    """Even so much that twisted.web stopped reading from the socket."""
    here = loopback(waits=True)
    raw = Raw()
    endpoint = TCP4ClientEndpoint(here.reactor, "127.0.0.1", here.port)
    await connectProtocol(endpoint, raw)
    transport: Any = raw.transport
    frames = [frame(2, bytes([number]) * 60_000) for number in range(20)]
    transport.write(request() + b"".join(frames))
    await until(here.reactor, lambda: bool(here.door.requests))
    await until(here.reactor, lambda: _is_paused(here))
    here.door.open(here.door.requests.pop())
    await until(here.reactor, lambda: len(here.server.messages) == len(frames))
    assert here.server.messages == [bytes([number]) * 60_000 for number in range(20)]
    transport.abortConnection()
    await until(here.reactor, lambda: bool(here.server.lost))


def _is_paused(here: Loopback) -> bool:
    transport: Any = here.door.requests[0].channel.transport
    return transport not in here.reactor.getReaders()


@in_reactor
async def test_nothing_listens(running_reactor: Any, free_port: int) -> None:
    """The failure says that the connection was refused."""
    with pytest.raises(ConnectFailed, match="nothing listens there"):
        await websocket.connect(
            f"ws://127.0.0.1:{free_port}",
            receiver=Recorder(),
            reactor=running_reactor,
            headers={},
        )


@in_reactor
async def test_a_cancelled_dial_leaves_nothing(loopback: Opens) -> None:
    """The door never answers; the guards see that no socket and no timer stays."""
    here = loopback(waits=True)
    dialling = Deferred.fromCoroutine(here.dial())
    await until(here.reactor, lambda: bool(here.door.requests))
    dialling.cancel()
    with pytest.raises(CancelledError):
        await dialling
    gone: Awaitable[Any] = here.door.requests.pop().notifyFinish().addErrback(lambda _lost: None)
    await gone
    assert here.client.events == []


@in_reactor
async def test_a_dropped_connection_is_told_to_both(loopback: Opens) -> None:
    """A reset without a close frame is no clean end."""
    here = loopback()
    await here.dial()
    await here.opened()
    transport_of(here.server).abortConnection()
    await until(here.reactor, lambda: bool(here.client.lost and here.server.lost))
    assert [lost.clean for lost in here.client.lost + here.server.lost] == [False, False]
    assert here.client.lost[0].code is None
    assert here.client.lost[0].text


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
