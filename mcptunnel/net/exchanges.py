"""The open exchanges of a tunnel: who hears of which stream."""

from collections.abc import Callable

from mcptunnel.model import Outcome
from mcptunnel.net.exchange import Exchange, ExchangeFailure
from mcptunnel.wire import events
from mcptunnel.wire.constants import ErrorCode


class OpenExchanges:
    """The exchanges by their streams. `reason` tells, as text, why a stream was lost."""

    def __init__(self, reason: Callable[[], str]) -> None:
        self._reason = reason
        self._by_stream: dict[int, Exchange] = {}
        self.dispatch: dict[type, Callable[..., None]] = {
            events.DataReceived: self._data_received,
            events.EndReceived: self._end_received,
            events.HeadReceived: self._head_received,
            events.StreamReset: self._stream_reset,
            events.StreamLost: self._stream_lost,
            events.StreamDrained: self._stream_drained,
        }

    def __len__(self) -> int:
        return len(self._by_stream)

    def everyone(self) -> list[Exchange]:
        return list(self._by_stream.values())

    def add(self, exchange: Exchange) -> None:
        self._by_stream[exchange.stream_id] = exchange

    def forget(self, exchange: Exchange) -> None:
        """Tell an exchange nothing more."""
        self._by_stream.pop(exchange.stream_id, None)

    def fail(self, stream_id: int, failure: ExchangeFailure) -> None:
        """End an exchange, if it is still there."""
        exchange = self._by_stream.pop(stream_id, None)
        if exchange is not None:
            exchange.failed(failure)

    def _data_received(self, event: events.DataReceived) -> None:
        exchange = self._by_stream.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.data_received(event.data)

    def _end_received(self, event: events.EndReceived) -> None:
        exchange = self._by_stream.get(event.stream_id)
        if exchange is not None:
            exchange.peer_ended()

    def _head_received(self, event: events.HeadReceived) -> None:
        exchange = self._by_stream.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.head_received(event.head)

    def _stream_reset(self, event: events.StreamReset) -> None:
        outcome = (
            Outcome.NOT_DELIVERED if event.code is ErrorCode.REFUSED_STREAM else Outcome.UNKNOWN
        )
        self.fail(event.stream_id, ExchangeFailure(event.code, event.text, outcome))

    def _stream_lost(self, event: events.StreamLost) -> None:
        self.fail(event.stream_id, ExchangeFailure(None, self._reason(), event.outcome))

    def _stream_drained(self, event: events.StreamDrained) -> None:
        exchange = self._by_stream.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.drained()
