"""The body of a request, written while the request is under way."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mcptunnel.net.http1.request import RequestError

LEAST_PIECE_BYTES = 4096
"""Smaller pieces are joined while they wait, or many would take far more room than their bytes."""


@implementer(IPushProducer)
class Upload:
    """A body of `length_bytes`, or of unknown length (None: it is sent in chunks).

    While `is_full`, which it is until there is a connection, the writer should stop; what it writes
    all the same is kept. `resumed` is called when the connection takes more again, if anything was
    written meanwhile. After the end of the call all writing is without effect.
    """

    __slots__ = ("_ended", "_held", "_late", "_left_bytes", "_resumed", "_transport", "is_full")

    def __init__(self, length_bytes: int | None, resumed: Callable[[], object]) -> None:
        self._left_bytes = length_bytes
        self._resumed = resumed
        self._held = bytearray()
        self._ended = False
        self._transport: Any = None
        self.is_full = True
        self._late = False

    @property
    def length_bytes(self) -> int | None:
        """The length that is stated in the head; meaningful before the first write."""
        return self._left_bytes

    def write(self, data: bytes) -> None:
        """Send bytes, not none. Raises RequestError, with nothing sent, beyond the stated length."""
        if self._left_bytes is not None:
            if len(data) > self._left_bytes:
                raise RequestError("The body is longer than its head says")
            self._left_bytes -= len(data)
        if self.is_full:
            self._late = True
        waits = self.is_full and len(self._held) + len(data) < LEAST_PIECE_BYTES
        if self._transport is None or waits:
            self._held += data
        elif self._held:
            self._held += data
            self._send_held()
        else:
            self._send(data)

    def end(self) -> None:
        """Complete the body. Raises RequestError before the stated length is reached."""
        if self._left_bytes:
            raise RequestError("The body is shorter than its head says")
        self._ended = True
        if self._transport is not None:
            self._send_held()
            self._finish()

    def attach(self, transport: Any) -> None:
        """Begin, on a connection whose head was sent; for the connection only."""
        self._transport = transport
        self.is_full = False
        transport.registerProducer(self, streaming=True)
        self._send_held()
        if self._ended:
            self._finish()
        if not self.is_full:
            self.resumeProducing()

    def _send_held(self) -> None:
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            self._send(held)

    def _send(self, data: bytes) -> None:
        if self._left_bytes is None:
            self._transport.writeSequence((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self._transport.write(data)

    def _finish(self) -> None:
        if self._left_bytes is None:
            self._transport.write(b"0\r\n\r\n")
        self._transport.unregisterProducer()

    # The transport's buffer.

    def pauseProducing(self) -> None:
        self.is_full = True

    def resumeProducing(self) -> None:
        self.is_full = False
        self._send_held()
        if self._late:
            self._late = False
            self._resumed()

    def stopProducing(self) -> None:
        """Nothing to do: the call fails."""
