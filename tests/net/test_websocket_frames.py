"""WebSocket frames by hand, against either end: broken ones, fragments, and a peer that lingers."""

from pathlib import Path
from typing import Any

import pytest
import txaio

from mcptunnel.net.frames import MAX_PIECES
from mcptunnel.net.link import LinkLost
from mcptunnel.net.websocket import CLOSE_TIMEOUT_S, CONTROL_BURST, CONTROL_PER_S, MAX_FRAGMENTS
from tests.net.links import RawClient, accepted, close_code, dial_and_answer, frame, request

FRAME_ERRORS: list[tuple[int, bytes]] = [
    (1003, frame(1, b"text")),
    (1003, frame(1, b"\xff\xfe")),
    (1002, frame(2, b"unmasked", mask=None)),
    (1002, frame(3, b"reserved opcode")),
    (1002, frame(0, b"continues nothing")),
    (1002, frame(11, b"reserved control")),
    (1002, b"\xc2\x80\x01\x02\x03\x04"),  # RSV1 without an extension
    (1002, b"\x09\x80\x01\x02\x03\x04"),  # fragmented PING
]


@pytest.mark.parametrize(("code", "broken"), FRAME_ERRORS)
def test_broken_frames_end_the_link_with_a_code(code: int, broken: bytes) -> None:
    """The peer hears why; nothing of the broken frame reaches the receiver."""
    client = RawClient()
    client.send(request())
    assert close_code(client.send(broken)) == code
    client.send(frame(8, code.to_bytes(2, "big")))
    client.reactor.advance(CLOSE_TIMEOUT_S)
    client.pump.flush()
    assert client.server.events == ["made", "lost"]
    assert client.server.lost[0].code == code
    assert client.raw.is_lost
    assert client.reactor.getDelayedCalls() == []


def test_a_close_without_a_mask_is_a_link_that_broke() -> None:
    """A proxy that is reloaded sends it for an agent that lives: there is no code that ends the session."""
    client = RawClient()
    client.send(request())
    assert client.send(frame(8, (1001).to_bytes(2, "big"), mask=None)) == b""
    assert client.server.events == ["made", "lost"]
    (lost,) = client.server.lost
    assert (lost.clean, lost.code) == (False, None)
    assert client.raw.is_lost
    assert client.reactor.getDelayedCalls() == []


def test_fragments_count_together_against_the_limit() -> None:
    """Many small frames are one message."""
    client = RawClient()
    client.door.max_message_bytes = 100
    client.send(request())
    first = bytes([0x02]) + frame(2, b"x" * 60)[1:]
    assert client.send(first) == b""
    assert close_code(client.send(frame(0, b"x" * 60))) == 1009
    assert client.server.messages == []


def test_a_message_in_fragments_arrives_whole_and_pings_are_answered_between() -> None:
    """RFC 6455, section 5.4."""
    client = RawClient()
    client.send(request())
    client.send(bytes([0x02]) + frame(2, b"he")[1:])
    assert client.send(frame(9, b"ping")) == b"\x8a\x04ping"
    client.send(frame(0, b"llo"))
    assert client.server.messages == [b"hello"]


def test_who_pings_and_does_not_read_is_owed_one_answer() -> None:
    """RFC 6455, section 5.5.3: the most recent ping is enough. Else each would stay in memory."""
    client = RawClient()
    client.send(request())
    producer: Any = client.server_io.producer
    producer.pauseProducing()
    assert client.send(frame(9, b"x" * 125) * 1000 + frame(9, b"last")) == b""
    producer.resumeProducing()
    assert client.send(b"") == b"\x8a\x04last"
    producer.pauseProducing()
    producer.resumeProducing()
    assert client.send(frame(9, b"more")) == b"\x8a\x04more"


def test_the_specification_says_the_same() -> None:
    """What a second implementation must stay below."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text()
    said = f"{CONTROL_BURST} pings and pongs at once and {CONTROL_PER_S:g} a second are taken"
    assert said in page
    assert f"and {MAX_FRAGMENTS} fragments of one message" in page


@pytest.mark.parametrize("opcode", [9, 10])
def test_a_storm_of_pings_or_pongs_ends_the_link(opcode: int) -> None:
    """As many as a thousand proxies would send are taken, and time makes room for more."""
    client = RawClient()
    client.send(request())
    for _ in range(3):
        client.send(frame(opcode, b"x") * CONTROL_BURST)
        assert client.server.events == ["made"]
        client.reactor.advance(CONTROL_BURST / CONTROL_PER_S)
    client.send(frame(opcode, b"x") * CONTROL_BURST)
    assert close_code(client.send(frame(opcode, b"x") * 3)) == 1008
    assert client.send(frame(opcode, b"x") * 3) == b""
    client.reactor.advance(CLOSE_TIMEOUT_S)
    client.pump.flush()
    assert client.server.lost[0].code == 1008


@pytest.mark.parametrize("piece", [b"", b"xy"])
def test_a_message_in_splinters_ends_the_link(piece: bytes) -> None:
    """Empty fragments take no bytes of the limit, and could come for ever."""
    client = RawClient()
    client.send(request())
    first, more = bytes([0x02]) + frame(2, piece)[1:], bytes([0x00]) + frame(0, piece)[1:]
    assert client.send(first + more * (MAX_FRAGMENTS - 1)) == b""
    assert close_code(client.send(more)) == 1008
    assert client.send(more * 10) == b""
    assert client.server.messages == []


@pytest.mark.parametrize("first", [0x82, 0x02])
def test_a_frame_that_drips_is_put_together_in_between(first: int) -> None:
    """Byte by byte, of a whole message or of a fragment: what is kept is about as much as what came."""
    client = RawClient()
    client.send(request())
    body = bytes(range(256)) * 20
    message = bytes([first]) + frame(2, body)[1:]
    if first == 0x02:
        message += frame(0, b"")
    server: Any = client.server_io.protocol
    most = 0
    for at in range(0, len(message), 2):
        client.send(message[at : at + 2])
        pieces = server._reader._pieces or getattr(server, "frame_data", None) or []
        most = max(most, len(pieces))
    assert most == MAX_PIECES
    assert client.server.messages == [body]


def test_a_masked_frame_from_the_server_is_refused() -> None:
    """RFC 6455, section 5.1: the relay must not mask."""
    dialled, server, receiver = dial_and_answer()
    transport: Any = server.transport
    transport.write(accepted(server) + frame(2, b"masked"))
    dialled.pump.flush()
    dialled.reactor.advance(CLOSE_TIMEOUT_S)
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
    dialled.reactor.advance(CLOSE_TIMEOUT_S)
    dialled.pump.flush()
    assert receiver.lost == [LinkLost(clean=True, code=1000, text="")]
    autobahn_timers: Any = txaio
    assert autobahn_timers.config.loop is None  # Autobahn never asked for the global reactor
