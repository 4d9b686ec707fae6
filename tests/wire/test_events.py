"""Events of a message are joined where that changes nothing for whoever hears them."""

from mcptunnel.wire import events
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Data, End, Open
from tests.wire.pairs import REQUEST, joined, message


def test_data_is_joined_and_the_order_within_a_stream_stays() -> None:
    found: list[events.Event] = [
        events.DataReceived(1, b"a"),
        events.DataReceived(3, b"x"),
        events.DataReceived(1, b"b"),
        events.EndReceived(1),
        events.DataReceived(3, b"y"),
        events.StreamReset(3, ErrorCode.CANCEL, ""),
    ]
    assert events.with_data_joined(found) == [
        events.DataReceived(1, b"ab"),
        events.DataReceived(3, b"xy"),
        events.EndReceived(1),
        events.StreamReset(3, ErrorCode.CANCEL, ""),
    ]


def test_without_data_nothing_changes() -> None:
    found: list[events.Event] = [events.EndReceived(1), events.EndReceived(3)]
    assert events.with_data_joined(found) == found


def test_the_data_of_a_message_full_of_splinters_comes_joined() -> None:
    """All of a stream at once, where its first bytes came; the order within each stream stays."""
    _, session = joined()
    session.receive(
        message(
            Open(1, REQUEST),
            *(Data(1, bytes([i])) for i in range(100)),
            Open(3, REQUEST),
            *(Data(i, b"%d" % i) for _ in range(100) for i in (3, 1)),
            End(1),
            Data(3, b"!"),
            End(3),
        ),
        0.0,
    )
    assert session.take_events() == [
        events.StreamOpened(1, REQUEST),
        events.DataReceived(1, bytes(range(100)) + b"1" * 100),
        events.StreamOpened(3, REQUEST),
        events.DataReceived(3, b"3" * 100 + b"!"),
        events.EndReceived(1),
        events.EndReceived(3),
    ]


def test_an_event_in_a_log_shows_nothing_of_a_body() -> None:
    assert repr(events.DataReceived(3, b"secret")) == "DataReceived(3)"
