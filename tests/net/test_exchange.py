"""One end of one stream: what goes out, when it is over, and that over means over."""

import pytest

from mcptunnel.model import Outcome, ResponseHead
from mcptunnel.net.exchange import ExchangeFailure, ExchangeReceiver
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import LocalProtocolError
from tests.net.tunnels import REQUEST, RESPONSE, Joint


def test_a_request_and_its_response() -> None:
    joint = Joint()
    exchange, receiver, accepted, taken = joint.open()
    assert accepted.request == REQUEST
    exchange.write(b"question")
    exchange.end()
    joint.settle()
    assert taken.events == [("data", b"question"), ("ended",)]
    accepted.send_head(RESPONSE)
    accepted.write(b"answer")
    accepted.end()
    joint.settle()
    assert receiver.events == [("head", RESPONSE), ("data", b"answer"), ("ended",)]
    assert joint.relay.exchange_count == joint.agent.exchange_count == 0
    assert joint.relay.session.stream_count == joint.agent.session.stream_count == 0


def test_the_agent_opens_exchanges_as_well() -> None:
    joint = Joint()
    receiver = ExchangeReceiver()
    exchange = joint.agent.open(REQUEST, receiver)
    exchange.write(b"news")
    exchange.end()
    joint.settle()
    (accepted,) = joint.relay_owner.opened
    assert accepted.stream_id % 2 == 0
    accepted.send_head(ResponseHead(204))
    accepted.end()
    joint.settle()
    assert joint.agent.exchange_count == 0


def test_an_answer_before_the_end_of_the_request_keeps_the_exchange() -> None:
    """It is over when both bodies are complete, whichever is first."""
    joint = Joint()
    exchange, receiver, accepted, taken = joint.open()
    accepted.send_head(RESPONSE)
    accepted.end()
    joint.settle()
    assert receiver.names == ["head", "ended"]
    assert joint.relay.exchange_count == joint.agent.exchange_count == 1
    exchange.write(b"late question")
    exchange.end()
    joint.settle()
    assert taken.names == ["data", "ended"]
    assert joint.relay.exchange_count == joint.agent.exchange_count == 0


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (ErrorCode.REFUSED_STREAM, Outcome.NOT_DELIVERED),
        (ErrorCode.UNREACHABLE, Outcome.UNKNOWN),
        (ErrorCode.INTERNAL_ERROR, Outcome.UNKNOWN),
    ],
)
def test_a_reset_of_the_peer_says_whether_it_may_have_run(
    code: ErrorCode, outcome: Outcome
) -> None:
    joint = Joint()
    exchange, receiver, accepted, taken = joint.open()
    exchange.end()
    joint.settle()
    accepted.reset(code, "no")
    joint.settle()
    assert receiver.failure == ExchangeFailure(code, "no", outcome)
    assert taken.names == ["ended"]
    assert joint.relay.exchange_count == joint.agent.exchange_count == 0


def test_an_exchange_that_is_over_takes_everything_and_does_nothing() -> None:
    joint = Joint()
    exchange, receiver, accepted, taken = joint.open()
    exchange.reset(ErrorCode.CANCEL, "enough")
    joint.settle()
    assert taken.failure.code is ErrorCode.CANCEL
    accepted.send_head(RESPONSE)
    assert accepted.write(b"late") == 0
    accepted.consumed(100)
    accepted.end()
    accepted.reset(ErrorCode.CANCEL)
    exchange.reset(ErrorCode.CANCEL)
    joint.settle()
    assert not receiver.events
    assert joint.relay.is_open
    assert joint.agent.is_open


def test_using_a_live_exchange_out_of_order_is_our_own_mistake() -> None:
    joint = Joint()
    exchange, _, accepted, _ = joint.open()
    with pytest.raises(LocalProtocolError):
        accepted.write(b"before the head")
    exchange.end()
    with pytest.raises(LocalProtocolError):
        exchange.write(b"after the end")


def test_write_tells_how_much_waits() -> None:
    joint = Joint()
    exchange, _, _, _ = joint.open()
    assert exchange.write(b"12345") == 5
    assert exchange.write(b"678") == 8
    joint.settle()
    assert exchange.write(b"9") == 1


def test_a_receiver_need_not_listen() -> None:
    receiver = ExchangeReceiver()
    receiver.head_received(RESPONSE)
    receiver.data_received(b"")
    receiver.ended()
    receiver.failed(ExchangeFailure(None, "", Outcome.UNKNOWN))
    receiver.drained()
