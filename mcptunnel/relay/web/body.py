"""A request's body as it comes: kept until somebody takes it, handed on, or thrown away."""

from io import SEEK_END, BytesIO
from typing import Any, Final, Protocol

from mcptunnel.relay.web.channel import DEADLINE_S

LEAST_BYTES: Final = 16 * 1024 * DEADLINE_S
"""What must come of a body from one deadline to the next: 16 KiB per second."""


class BodyReceiver(Protocol):
    """Who takes a body."""

    def body_received(self, data: bytes) -> None:
        """Take some bytes; `IncomingBody.pause` holds back what follows."""

    def body_ended(self) -> None:
        """The body is complete."""


class IncomingBody:
    """The body of one request on `channel` (`twisted.web.http.HTTPChannel`).

    `length_bytes` is None if it comes in chunks. Until somebody wants it, with `keep` or `hand_to`,
    nothing is read beyond what came with the head. An empty body, too, is complete only when the
    channel says so: until then the connection is not ours to take over.
    """

    __slots__ = (
        "_channel",
        "_held",
        "_is_paused",
        "_is_wanted",
        "_looked_at_bytes",
        "_most_dropped_bytes",
        "_receiver",
        "is_complete",
        "length_bytes",
        "received_bytes",
        "wants_continue",
    )

    def __init__(self, channel: Any, length_bytes: int | None, *, wants_continue: bool) -> None:
        self.length_bytes = length_bytes
        self.is_complete = False
        self.wants_continue = wants_continue
        self.received_bytes = 0
        self._channel = channel
        self._receiver: BodyReceiver | None = None
        self._held: BytesIO | None = None
        self._is_wanted = self._is_paused = False
        self._looked_at_bytes = 0  # of those received, at the last deadline
        self._most_dropped_bytes: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether what comes is kept."""
        return self._receiver is None and self._most_dropped_bytes is None

    def wait_until_wanted(self) -> None:
        """Read no more for now, unless somebody wants it already."""
        if not self._is_wanted and self.length_bytes != 0:
            self.pause()

    def keep(self) -> None:
        """Read it all into memory, for `whole`."""
        self._begin()

    def whole(self) -> bytes:
        """Return what is kept, and keep it no longer."""
        held, self._held = self._held, None
        return b"" if held is None else held.getvalue()

    def hand_to(self, receiver: BodyReceiver) -> None:
        """Hand the body on from now on."""
        self._receiver = receiver
        self._begin()
        held = self.whole()
        if held:
            receiver.body_received(held)
        if self.is_complete:
            self._end()

    def drop_rest(self, most_bytes: int) -> None:
        """Read what is still to come for nobody; abort the connection if it is too much."""
        self._receiver = self._held = None
        self._most_dropped_bytes = most_bytes
        self._is_wanted = True  # by nobody, but to its end
        self.resume()

    def pause(self) -> None:
        """Read no more; what was read already, at most 64 KiB, still comes."""
        self._is_paused = True
        self._network.pauseProducing()

    def resume(self) -> None:
        """Read again, unless the connection itself waits for older answers to leave."""
        if self._is_paused:
            self._is_paused = False
            if not self.is_complete:
                self._looked_at_bytes = self.received_bytes
                self._channel.setTimeout(DEADLINE_S)
            if not self._channel._waitingForTransport:  # noqa: SLF001 - there is no other way
                self._network.resumeProducing()

    def keeps_pace(self) -> bool:
        """Whether enough came since this was last asked. While it is paused, we are to blame."""
        came_bytes = self.received_bytes - self._looked_at_bytes
        self._looked_at_bytes = self.received_bytes
        return self._is_paused or came_bytes >= LEAST_BYTES

    # The request tells.

    def received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self._is_paused:
            self._network.pauseProducing()  # the channel resumes when its own answers have left
        if self._most_dropped_bytes is not None:
            self._most_dropped_bytes -= len(data)
            if self._most_dropped_bytes < 0:
                self._channel.transport.abortConnection()
        elif self._receiver is not None:
            self._receiver.body_received(data)
        elif self._held is None:
            self._held = BytesIO(data)  # which copies nothing, unless there is more
            self._held.seek(0, SEEK_END)
        else:
            self._held.write(data)

    def ended(self) -> None:
        self.is_complete = True
        self.resume()  # only so do we hear that the client goes away
        self._end()

    def _end(self) -> None:
        """Tell the receiver and let it go: it knows the request, which knows us, and none would be freed."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.body_ended()

    def _begin(self) -> None:
        self._is_wanted = True
        if self.wants_continue and not self.received_bytes:
            self._channel.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wants_continue = False
        self.resume()

    @property
    def _network(self) -> Any:
        return self._channel._networkProducer  # noqa: SLF001 - the way to the transport's reading
