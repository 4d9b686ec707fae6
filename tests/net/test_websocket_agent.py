"""The agent's end of a link: dialling, refusals, garbage, deadlines."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
import txaio
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.python.failure import Failure
from twisted.web.server import Site

from mcptunnel.net import websocket
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused
from mcptunnel.net.link import LinkLost
from tests.net.test_websocket import Dialled, Door, Raw, Recorder, frame, memory_reactor


def dial_and_answer(*answers: bytes, **options: Any) -> tuple[Dialled, Raw, Recorder]:
    """Dial a server that sends these answers, whatever it is asked."""
    receiver, server = Recorder(), Raw()
    dialled = Dialled(receiver, **options)
    dialled.join(server)
    for answer in answers:
        transport: Any = server.transport
        transport.write(answer)
        dialled.pump.flush()
    return dialled, server, receiver


def test_the_request_that_is_sent() -> None:
    """The path with its query, our headers, our subprotocol, no Origin."""
    _, server, _ = dial_and_answer()
    lines = server.received.decode().split("\r\n")
    assert lines[0] == "GET /tunnel?a=b HTTP/1.1"
    assert "Host: relay.test:80" in lines
    assert "Authorization: Bearer secret" in lines
    assert "Sec-WebSocket-Protocol: mcptunnel.1" in lines
    assert "Sec-WebSocket-Version: 13" in lines
    assert not [line for line in lines if line.lower().startswith(("origin", "sec-websocket-ext"))]


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 426, 429, 500, 503])
def test_refusals_tell_status_and_text(status: int) -> None:
    """Any answer but 101 is a refusal; the body is read to its end."""
    dialled, server, receiver = dial_and_answer(
        f"HTTP/1.1 {status} Whatever\r\nRetry-After: 7\r\nContent-Length: 6\r\n\r\nso".encode(),
        b"rry\nand more",
    )
    error = dialled.error
    assert isinstance(error, UpgradeRefused)
    assert (error.status, error.retry_after_s) == (status, 7.0)
    assert error.body_text == "sorry"
    assert error.is_credential_refused is (status in (401, 403))
    assert receiver.events == []
    assert server.is_lost
    assert dialled.reactor.getDelayedCalls() == []


def test_a_refusal_of_the_other_end_of_ours() -> None:
    """What `upgrade` answers is what `connect` raises."""
    receiver = Recorder()
    dialled = Dialled(receiver, headers={"Origin": "https://evil.test"})
    door = Door(Recorder(), dialled.reactor)
    dialled.join(Site(door, reactor=dialled.reactor).buildProtocol(None))
    assert dialled.error.status == 403
    assert "Browsers" in dialled.error.body_text


def test_a_refusal_that_never_ends_is_raised_with_what_there_is() -> None:
    """A body without an end is waited for only briefly."""
    dialled, server, _ = dial_and_answer(b"HTTP/1.1 503 No\r\n\r\npartly")
    assert dialled.outcome == []
    dialled.reactor.advance(websocket.REFUSAL_TIMEOUT_S)
    assert dialled.error.body_text == "partly"
    dialled.pump.flush()
    assert server.is_lost


def test_a_refusal_that_ends_with_the_connection() -> None:
    """As HTTP/1.0 does it."""
    dialled, server, _ = dial_and_answer(b"HTTP/1.0 502 Bad Gateway\r\n\r\nproxy")
    transport: Any = server.transport
    transport.loseConnection()
    dialled.pump.flush()
    assert (dialled.error.status, dialled.error.body_text) == (502, "proxy")
    assert dialled.reactor.getDelayedCalls() == []


def test_an_informational_answer_is_passed_over() -> None:
    """103 Early Hints, and the like, come before the answer."""
    dialled, _, _ = dial_and_answer(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert dialled.error.status == 404


GARBAGE: list[bytes] = [
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 101\xff Switching\r\n\r\n",
    b"HTTP/1.1 200 " + b"x" * 20_000,
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nX: \xff\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_instead_of_an_answer(garbage: bytes) -> None:
    """It is a temporary failure that names host and port, and the connection is dropped at once."""
    dialled, server, receiver = dial_and_answer(garbage)
    error = dialled.error
    assert isinstance(error, ConnectFailed)
    assert str(error).startswith("relay.test:80: the answer is ")
    assert receiver.events == []
    assert server.is_lost
    assert dialled.reactor.getDelayedCalls() == []


def accepted(server: Raw, *, subprotocol: str | None = "mcptunnel.1", extra: str = "") -> bytes:
    """Return the 101 to what the server received."""
    key = server.received.decode().partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n{chosen}{extra}\r\n"
    ).encode()


@pytest.mark.parametrize(
    "answer",
    [
        lambda server: accepted(server, subprotocol=None),
        lambda server: accepted(server, subprotocol="other"),
        lambda server: accepted(server, extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    ],
)
def test_a_server_that_does_not_speak_ours(answer: Callable[[Raw], bytes]) -> None:
    """A WebSocket without our subprotocol, or compressed, is none of ours."""
    dialled, server, receiver = dial_and_answer()
    transport: Any = server.transport
    transport.write(answer(server))
    dialled.pump.flush()
    assert isinstance(dialled.error, ConnectFailed)
    assert receiver.events == []
    assert server.is_lost


def test_an_answer_byte_by_byte_with_a_message_behind_it() -> None:
    """However the answer is cut, the link comes up and the first message is not lost."""
    dialled, server, receiver = dial_and_answer()
    transport: Any = server.transport
    for byte in accepted(server) + frame(2, b"hello", mask=None):
        transport.write(bytes([byte]))
        dialled.pump.flush()
    assert receiver.messages == [b"hello"]
    assert dialled.link.peer == "unknown"  # memory has no addresses
    transport.write(frame(1, b"text", mask=None))
    dialled.pump.flush()
    assert server.received.count(b"\x88") >= 1
    dialled.link.abort()
    dialled.pump.flush()
    assert receiver.lost[0].code == 1003


def test_a_masked_frame_from_the_server_is_refused() -> None:
    """RFC 6455, section 5.1: the relay must not mask."""
    dialled, server, receiver = dial_and_answer()
    transport: Any = server.transport
    transport.write(accepted(server) + frame(2, b"masked"))
    dialled.pump.flush()
    dialled.reactor.advance(websocket.CLOSE_TIMEOUT_S)
    dialled.pump.flush()
    assert receiver.lost[0].code == 1002
    assert receiver.messages == []


def test_a_server_that_closes_without_hanging_up() -> None:
    """The closing handshake was clean, so the end is; only the connection has to be dropped."""
    dialled, server, receiver = dial_and_answer()
    transport: Any = server.transport
    transport.write(accepted(server))
    dialled.pump.flush()
    dialled.link.close()
    dialled.pump.flush()
    transport.write(frame(8, (1000).to_bytes(2, "big"), mask=None))
    dialled.pump.flush()
    assert receiver.lost == []
    assert len(dialled.reactor.getDelayedCalls()) == 1
    dialled.reactor.advance(websocket.CLOSE_TIMEOUT_S)
    dialled.pump.flush()
    assert receiver.lost == [LinkLost(clean=True, code=1000, text="")]
    autobahn_timers: Any = txaio
    assert autobahn_timers.config.loop is None  # Autobahn never asked for the global reactor


def test_a_hanging_server_is_given_up_in_time() -> None:
    """TCP comes up and then nothing: the deadline holds for the whole of it."""
    dialled, server, receiver = dial_and_answer(timeout_s=4.0)
    dialled.reactor.advance(3.9)
    assert dialled.outcome == []
    dialled.reactor.advance(0.2)
    assert str(dialled.error) == "relay.test:80: connected, but no answer within 4 s"
    dialled.pump.flush()
    assert server.is_lost
    assert receiver.events == []
    assert dialled.reactor.getDelayedCalls() == []


def test_a_silent_network_is_given_up_in_time() -> None:
    """No TCP connection comes up at all."""
    dialled = Dialled(Recorder(), timeout_s=4.0)
    dialled.reactor.advance(4.1)
    assert str(dialled.error) == "relay.test:80: no connection within 4 s"


def test_a_server_that_hangs_up() -> None:
    """The connection ends before any answer."""
    dialled, server, _ = dial_and_answer()
    transport: Any = server.transport
    transport.loseConnection()
    dialled.pump.flush()
    assert str(dialled.error) == "relay.test:80: the server closed the connection without an answer"


def test_a_name_that_cannot_be_resolved() -> None:
    """The text says that it was the name."""
    dialled = Dialled(Recorder(), memory_reactor(finds=False))
    assert str(dialled.error) == "relay.test:80: the name cannot be resolved"


def test_a_refused_connection() -> None:
    """The text says that nothing listens."""
    dialled = Dialled(Recorder())
    factory = dialled.reactor.tcpClients[-1][2]
    factory.clientConnectionFailed(None, Failure(RefusedError()))
    dialled.reactor.advance(1)
    assert "nothing listens there" in str(dialled.error)


@pytest.mark.parametrize("joined", [False, True])
def test_cancelling_drops_the_connection(joined: bool) -> None:
    """Before TCP is up and after; the receiver hears nothing, and no timer is left."""
    receiver, server = Recorder(), Raw()
    dialled = Dialled(receiver)
    if joined:
        dialled.join(server)
    dialled.deferred.cancel()
    assert isinstance(dialled.error, CancelledError)
    if joined:
        dialled.pump.flush()
        assert server.is_lost
    assert receiver.events == []
    assert dialled.reactor.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://relay.test/", {}),
        ("http://user:secret@relay.test/", {}),
        ("http://relay.test/", {"A": "b\r\nC: d"}),
        ("http://relay.test/", {"A b": "c"}),
    ],
)
def test_what_cannot_be_dialled_is_a_mistake(url: str, headers: dict[str, str]) -> None:
    """A bad URL or header is a ValueError that quotes no secret."""
    dialled = Dialled(Recorder(), url=url, headers=headers)
    assert isinstance(dialled.error, ValueError)
    assert "secret" not in str(dialled.error)
