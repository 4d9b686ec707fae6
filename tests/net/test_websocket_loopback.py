"""Links over real sockets on the loopback: Nagle, backpressure, and a peer that is gone."""

import socket

import pytest
from twisted.internet.task import deferLater
from twisted.protocols.policies import ProtocolWrapper

from mcptunnel.net import websocket
from mcptunnel.net.websocket import UNSENT_BYTES
from tests.net.loopback import LOOPBACK, Authority, Opens, in_reactor, transport_of, until

# Twisted still hands pyOpenSSL its own kind of certificates.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


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


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such limit")
@pytest.mark.parametrize("tls", [False, True])
@in_reactor
async def test_the_system_takes_little_more_than_the_network(
    loopback: Opens, authority: Authority, tls: bool
) -> None:
    """What it holds cannot be seen, nor overtaken by a PING."""
    here = loopback(tls=authority.server_options(LOOPBACK) if tls else None)
    await here.dial(tls_options=authority.client_options("127.0.0.1") if tls else None)
    await here.opened()
    for end in (here.client, here.server):
        transport = transport_of(end)
        while isinstance(transport, ProtocolWrapper):
            transport = transport.transport
        option = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
        assert transport.socket.getsockopt(*option) == UNSENT_BYTES


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
