"""An exchange of which it is not known yet whether its bytes pass untouched."""

from typing import Final, Protocol

from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.mcp.client_era import era_of_body
from mcptunnel.mcp.versions import Era
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver

MAX_LOOKED_BYTES: Final = 16 * 1024
"""A body that is longer is not looked into: it begins no conversation. Less than the smallest window."""


class Ways(Protocol):
    """The two ways that it can go; each sets the receiver of the exchange, or drops it."""

    def pass_on(self, exchange: Exchange, passage: Passage) -> None: ...

    def speak(self, exchange: Exchange) -> None: ...


class Undecided(ExchangeReceiver):
    """Holds what comes until the way is known: at most a window, for no credit is returned meanwhile.

    `era` is the client's, None if only the body can tell.
    """

    __slots__ = (
        "_ended",
        "_era",
        "_exchange",
        "_is_over",
        "_parts",
        "_passage",
        "_size_bytes",
        "_ways",
    )

    def __init__(self, exchange: Exchange, era: Era | None, ways: Ways) -> None:
        self._exchange = exchange
        self._era = era
        self._ways = ways
        self._passage: Passage | None = None
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._ended = self._is_over = False

    def found(self, passage: Passage | None) -> None:
        """Take the passage for legacy clients, or for those of the era; None if there is none."""
        if self._is_over:
            return
        if passage is not None and self._era is None and Era.MODERN not in passage.eras:
            self._passage = passage
            self._look()
        else:
            self._go(passage)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size_bytes += len(data)
        self._look()

    def ended(self) -> None:
        self._ended = True
        self._look()

    def failed(self, failure: ExchangeFailure) -> None:
        self._is_over = True

    def _look(self) -> None:
        """Look into the body, once it is complete or too long."""
        passage = self._passage
        if passage is None or self._is_over:
            return
        if self._size_bytes > MAX_LOOKED_BYTES:
            self._go(passage)
        elif self._ended:
            is_legacy = era_of_body(b"".join(self._parts)) is Era.LEGACY
            self._go(passage if is_legacy else None)

    def _go(self, passage: Passage | None) -> None:
        self._is_over = True
        exchange = self._exchange
        if passage is None:
            self._ways.speak(exchange)
        else:
            self._ways.pass_on(exchange, passage)
        receiver = exchange.receiver
        for part in self._parts:
            receiver.data_received(part)
        self._parts.clear()
        if self._ended:
            receiver.ended()
