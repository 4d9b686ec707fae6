"""From a dialled connection to a link, or to the reason why there is none."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.web.server import Site

from mcptunnel.net.errors import ConnectFailed, UpgradeRefused
from mcptunnel.net.opening import REFUSAL_TIMEOUT_S
from tests.net.links import Dialled, Door, Raw, Recorder, accepted, dial_and_answer, frame


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
    assert not error.is_credential_refused
    assert receiver.events == []
    assert server.is_lost
    assert dialled.reactor.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("status", "challenge", "is_refused"),
    [
        (401, "WWW-Authenticate: Bearer\r\n", True),
        (403, 'www-authenticate: bearer error="insufficient_scope"\r\n', True),
        (401, "WWW-Authenticate: Bearer\r\nWWW-Authenticate: Basic\r\n", True),
        (401, 'WWW-Authenticate: Basic realm="Bearer"\r\n', False),
        (403, "", False),
        (503, "WWW-Authenticate: Bearer\r\n", False),
    ],
)
def test_only_who_asks_for_a_token_refuses_one(
    status: int, challenge: str, is_refused: bool
) -> None:
    """A firewall in front of a relay answers 403, too, and that says nothing about our credential."""
    head = f"HTTP/1.1 {status} Whatever\r\n{challenge}Content-Length: 0\r\n\r\n"
    error = dial_and_answer(head.encode())[0].error
    assert isinstance(error, UpgradeRefused)
    assert error.is_credential_refused is is_refused


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
    dialled.reactor.advance(REFUSAL_TIMEOUT_S)
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


def test_a_server_that_hangs_up() -> None:
    """The connection ends before any answer."""
    dialled, server, _ = dial_and_answer()
    transport: Any = server.transport
    transport.loseConnection()
    dialled.pump.flush()
    assert str(dialled.error) == "relay.test:80: the server closed the connection without an answer"
