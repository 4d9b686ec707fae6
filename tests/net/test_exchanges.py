"""Who hears of which stream: the exchange that is open on it, and nobody once it is over."""

from mcptunnel.model import Outcome
from mcptunnel.net.exchange import ExchangeFailure
from mcptunnel.net.exchanges import OpenExchanges
from mcptunnel.wire import events
from mcptunnel.wire.constants import ErrorCode
from tests.net.tunnels import RESPONSE, Lone, Receiver


def opened() -> tuple[OpenExchanges, Receiver]:
    exchanges = OpenExchanges(lambda: "the network broke")
    exchange, receiver = Lone().greeted().open()
    exchanges.add(exchange)
    return exchanges, receiver


def tell(exchanges: OpenExchanges, *told: events.Event) -> None:
    for event in told:
        exchanges.dispatch[type(event)](event)


def everything(stream_id: int) -> tuple[events.Event, ...]:
    return (
        events.HeadReceived(stream_id, RESPONSE),
        events.DataReceived(stream_id, b"x"),
        events.StreamDrained(stream_id),
        events.EndReceived(stream_id),
    )


ALL = everything(1)


def test_every_event_reaches_its_receiver() -> None:
    exchanges, receiver = opened()
    tell(exchanges, *ALL)
    assert receiver.events == [("head", RESPONSE), ("data", b"x"), ("drained",), ("ended",)]
    assert len(exchanges) == 1


def test_other_streams_are_nobodys() -> None:
    exchanges, receiver = opened()
    tell(exchanges, *everything(3), events.StreamLost(3, Outcome.UNKNOWN))
    assert not receiver.events


def test_a_refused_stream_was_not_delivered_and_any_other_reset_proves_nothing() -> None:
    for code, outcome in (
        (ErrorCode.REFUSED_STREAM, Outcome.NOT_DELIVERED),
        (ErrorCode.CANCEL, Outcome.UNKNOWN),
    ):
        exchanges, receiver = opened()
        tell(exchanges, events.StreamReset(1, code, "why"))
        assert receiver.failure == ExchangeFailure(code, "why", outcome)
        tell(exchanges, *ALL)
        assert receiver.names == ["failed"]
        assert len(exchanges) == 0


def test_a_lost_stream_says_why_the_tunnel_was_lost() -> None:
    exchanges, receiver = opened()
    tell(exchanges, events.StreamLost(1, Outcome.NOT_DELIVERED))
    expected = ExchangeFailure(None, "the network broke", Outcome.NOT_DELIVERED)
    assert receiver.failure == expected


def test_a_forgotten_exchange_hears_nothing() -> None:
    exchanges, receiver = opened()
    (exchange,) = exchanges._by_stream.values()
    exchanges.forget(exchange)
    exchanges.forget(exchange)
    tell(exchanges, *ALL)
    assert not receiver.events
