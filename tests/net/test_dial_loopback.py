"""Dialling over real sockets on the loopback: TLS, refusal, and nothing left behind."""

from collections.abc import Awaitable
from typing import Any

import pytest
from cryptography import x509
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from mcptunnel.net.dial import connect
from mcptunnel.net.errors import ConnectFailed
from mcptunnel.net.link import LinkLost
from tests.net.links import Recorder
from tests.net.loopback import LOOPBACK, Authority, Opens, in_reactor, transport_of, until

# Twisted still hands pyOpenSSL its own kind of certificates.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


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
    with pytest.raises(ConnectFailed, match="not one that this machine trusts") as failed:
        await here.dial()
    assert "http://" not in str(failed.value)
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
    """The failure comes at once, and says that it was TLS and what to write instead."""
    factory: Any = Factory.forProtocol(Blunt)
    listening = running_reactor.listenTCP(free_port, factory, interface="127.0.0.1")
    try:
        with pytest.raises(ConnectFailed, match="the answer is not TLS") as failed:
            await connect(
                f"https://127.0.0.1:{free_port}",
                receiver=Recorder(),
                reactor=running_reactor,
                headers={},
                tls_options=authority.client_options("127.0.0.1"),
            )
        assert str(failed.value).endswith(f"If not, write http://127.0.0.1:{free_port}")
    finally:
        await listening.stopListening()


@in_reactor
async def test_a_server_that_speaks_tls_and_does_not_answer(
    loopback: Opens, authority: Authority
) -> None:
    """To write http would not help."""
    here = loopback(tls=authority.server_options(LOOPBACK), waits=True)
    with pytest.raises(ConnectFailed, match=r"no answer within 0\.3 s$"):
        await here.dial(tls_options=authority.client_options("127.0.0.1"), timeout_s=0.3)
    here.door.requests.pop().notifyFinish().addErrback(lambda _lost: None)


@in_reactor
async def test_http_to_a_port_that_speaks_tls(loopback: Opens, authority: Authority) -> None:
    """Plain HTTP gets no answer that is HTTP."""
    here = loopback(tls=authority.server_options(LOOPBACK))
    here.is_tls = False
    with pytest.raises(ConnectFailed, match=r"not HTTP|without an answer"):
        await here.dial()


@in_reactor
async def test_nothing_listens(running_reactor: Any, free_port: int) -> None:
    """The failure says that the connection was refused."""
    with pytest.raises(ConnectFailed, match="nothing listens there"):
        await connect(
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
