"""The relay's end: handshakes, and taking a connection over from twisted.web."""

import base64
import gc
import json
import weakref
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.web.http import HTTPChannel

from tests.net.links import KEY, Raw, RawClient, frame, request
from tests.net.loopback import Loopback, Opens, in_reactor, until


def test_the_answer_to_a_good_handshake() -> None:
    """101 with our subprotocol, no compression, and no advertising."""
    client = RawClient()
    answer = client.send(
        request(
            sec_websocket_extensions="permessage-deflate", sec_websocket_protocol="x,mcptunnel.1"
        )
    )
    head = answer.decode().lower()
    assert head.startswith("http/1.1 101 ")
    assert "sec-websocket-protocol: mcptunnel.1\r\n" in head
    assert "extensions" not in head
    assert "server:" not in head
    assert client.server.events == ["made"]


BAD_HANDSHAKES: list[tuple[int, dict[str, Any]]] = [
    (426, {"upgrade": None}),
    (426, {"upgrade": "h2c"}),
    (426, {"connection": "keep-alive"}),
    (426, {"sec_websocket_version": None}),
    (426, {"sec_websocket_version": "8"}),
    (426, {"sec_websocket_version": "13, 13"}),
    (426, {"line": "GET /tunnel HTTP/1.0"}),
    (405, {"line": "POST /tunnel HTTP/1.1"}),
    (403, {"origin": "https://relay.test"}),
    (403, {"origin": "null"}),
    (400, {"sec_websocket_key": None}),
    (400, {"sec_websocket_key": "short"}),
    (400, {"sec_websocket_key": f"{KEY},{KEY}"}),
    (400, {"sec_websocket_key": base64.b64encode(b"only fifteen by").decode()}),
    (400, {"sec_websocket_protocol": None}),
    (400, {"sec_websocket_protocol": "mcptunnel.2"}),
]


@pytest.mark.parametrize(("status", "changes"), BAD_HANDSHAKES)
def test_bad_handshakes_are_answered_in_json(status: int, changes: dict[str, Any]) -> None:
    """Each gets its status and a sentence; the receiver hears nothing."""
    client = RawClient()
    head, _, body = client.send(request(**changes)).decode().partition("\r\n\r\n")
    assert head.split()[1] == str(status)
    assert json.loads(body)["error_description"].endswith(".")
    if status == 426:
        assert "Sec-Websocket-Version: 13" in head or "Sec-WebSocket-Version: 13" in head
        assert "Upgrade: websocket" in head
    if status == 405:
        assert "Allow: GET" in head
    assert client.server.events == []


@pytest.mark.parametrize(
    "body",
    [
        request(content_length="3") + b"abc",
        request(transfer_encoding="chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_a_handshake_with_a_body_is_refused(body: bytes) -> None:
    """What would follow it is ambiguous."""
    client = RawClient()
    assert client.send(body).startswith(b"HTTP/1.1 400 ")
    assert client.server.events == []


def test_bytes_that_come_with_the_request_are_not_lost() -> None:
    """Frames in the same segment as the request are the first messages."""
    client = RawClient()
    client.send(request() + frame(2, b"one") + frame(2, b"two")[:3])
    client.send(frame(2, b"two")[3:])
    assert client.server.messages == [b"one", b"two"]


def test_bytes_that_come_while_the_caller_waits_are_not_lost() -> None:
    """However they are cut, and also when twisted.web stopped reading because of them."""
    client = RawClient(waits=True)
    frames = [frame(2, bytes([number]) * 9000) for number in range(5)]
    client.send(request() + frames[0][:10])
    client.send(frames[0][10:] + frames[1])
    for one in frames[2:]:
        client.send(one)
    assert client.server.events == []
    client.door.open(client.door.requests[0])
    client.send(frame(2, b"last"))
    assert client.server.messages == [bytes([number]) * 9000 for number in range(5)] + [b"last"]


def test_a_client_that_left_while_the_caller_waited() -> None:
    """Nothing happens, and nobody is told of a link."""
    client = RawClient(waits=True)
    client.send(request())
    waiting = client.door.requests[0]
    gone: list[Any] = []
    waiting.notifyFinish().addErrback(gone.append)
    transport: Any = client.raw.transport
    transport.loseConnection()
    client.pump.flush()
    client.door.open(waiting)
    assert len(gone) == 1
    assert client.server.events == []


def test_the_request_is_finished_by_the_upgrade() -> None:
    """Who waits for its end is told; to answer it again is twisted.web's ordinary error."""
    client = RawClient(waits=True)
    client.send(request())
    waiting = client.door.requests[0]
    ended: list[Any] = []
    waiting.notifyFinish().addCallback(ended.append)
    client.door.open(waiting)
    assert ended == [None]
    assert waiting.code == 101
    client.door.open(waiting)
    assert client.server.events == ["made"]


def test_twisted_web_keeps_nothing_of_a_link_nor_a_link_of_it() -> None:
    """Channel and request die at the upgrade; no timeout of theirs is left."""
    client = RawClient(waits=True)
    client.send(request())
    kept: list[weakref.ref[Any]] = [
        weakref.ref(client.door.requests[0]),
        weakref.ref(client.door.requests[0].channel),
    ]
    assert isinstance(kept[1](), HTTPChannel)
    client.pump.server = None
    gc.collect()
    gc.disable()  # they are to die at once, not at some collection
    try:
        client.door.open(client.door.requests.pop())
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()
    assert client.server.events == ["made"]
    assert client.reactor.getDelayedCalls() == []


def test_an_idle_link_is_not_closed_by_the_http_timeout() -> None:
    """The site's timeout is for requests."""
    client = RawClient()
    client.send(request())
    client.reactor.advance(600)
    client.send(frame(2, b"still here"))
    assert client.server.messages == [b"still here"]


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
