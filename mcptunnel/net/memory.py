"""Two links joined in memory: for tests, and for servers that the relay hosts itself.

With a reactor the pair pumps itself; without one, `flush` does. Nothing is ever delivered from
within `send_message`, as with a socket.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcptunnel.net.link import (
    BUFFER_BYTES,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    LinkLost,
    LinkReceiver,
)

MOST_ROUNDS = 10_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is on its way: a message, or the goodbye after the last one."""

    due_s: float
    content: bytes | LinkLost


class MemoryLink:
    """One end of a pair (`net.link.Link`)."""

    _log = Logger()

    def __init__(self, receiver: LinkReceiver, peer: str, pair: "MemoryPair") -> None:
        self._receiver = receiver
        self._peer = peer
        self._pair = pair
        self._queue: deque[_Sent] = deque()
        self._queued_bytes = 0
        self._paused = False
        self._held = False
        self._closing = False
        self._ending: LinkLost | None = None
        self._lost = False

    @property
    def peer(self) -> str:
        return self._peer

    @property
    def is_lost(self) -> bool:
        return self._lost

    def send_message(self, message: bytes) -> None:
        if self._closing or self._lost:
            return
        self._queued_bytes += len(message)
        self._queue.append(_Sent(self._pair.due_s(), message))
        self._pair.pump_soon()
        if self._queued_bytes > self._pair.buffer_bytes and not self._paused:
            self._paused = True
            self._tell(self._receiver.link_paused)

    def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        if self._closing or self._lost:
            return
        self._closing = True
        self._queue.append(_Sent(self._pair.due_s(), LinkLost(clean=True, code=code, text=reason)))
        self._pair.pump_soon()

    def abort(self) -> None:
        self._pair.end(LinkLost(clean=False, code=None, text="aborted"))

    # Tests make the network bad with these.

    def hold(self) -> None:
        """Deliver nothing of what this end sends, as a peer that does not read."""
        self._held = True

    def release(self) -> None:
        """Deliver again."""
        self._held = False
        self._pair.pump_soon()

    # The pair calls these.

    def made(self) -> None:
        """Tell the receiver that the link is up."""
        self._tell(self._receiver.link_made, self)

    def end(self, reason: LinkLost) -> None:
        """Drop what is queued; the loss is told at the next pumping."""
        if self._ending is None and not self._lost:
            self._queue.clear()
            self._closing = True
            self._ending = reason

    def next_due_s(self) -> float | None:
        """Return when something of this end's falls due, or None; 0.0 is at once."""
        if self._ending is not None:
            return 0.0
        return self._queue[0].due_s if self._queue and not self._held else None

    def pump(self, other: "MemoryLink", now_s: float) -> bool:
        """Deliver to `other` what is due; return whether there was anything."""
        if self._ending is not None:
            self.lose(self._ending)
            return True
        moved = False
        while self._queue and not self._held and self._queue[0].due_s <= now_s:
            moved = True
            content = self._queue.popleft().content
            if isinstance(content, LinkLost):
                other.lose(content)
                self.lose(content)
                return True
            self._queued_bytes -= len(content)
            other.receive(content)
        if moved and self._paused and not self._queue and not self._lost:
            self._paused = False
            self._tell(self._receiver.link_resumed)
        return moved

    def receive(self, message: bytes) -> None:
        """Take a message from the other end."""
        if not (self._closing or self._lost):
            self._tell(self._receiver.message_received, message)

    def lose(self, reason: LinkLost) -> None:
        """Be over."""
        if not self._lost:
            self._lost = True
            self._ending = None
            self._queue.clear()
            self._tell(self._receiver.link_lost, reason)

    def _tell(self, event: Callable[..., None], *values: object) -> None:
        try:
            event(*values)
        except Exception:  # noqa: BLE001 - a receiver's mistake ends its link and nothing else
            self._log.failure("the receiver of the link to {peer} failed", peer=self._peer)
            self.close(CLOSE_INTERNAL_ERROR, "internal error")


class MemoryPair:
    """Two joined links, `left` and `right`; `open` tells both receivers.

    With a `reactor` each message is delivered `delay_s` after it was sent, the next turn at the
    earliest. Without one nothing moves but in `flush`. A link says `link_paused` when more than
    `buffer_bytes` wait, as a socket's transport does.
    """

    def __init__(
        self,
        left: LinkReceiver,
        right: LinkReceiver,
        *,
        reactor: IReactorTime | None = None,
        delay_s: float = 0.0,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._reactor = reactor
        self._delay_s = delay_s
        self.buffer_bytes = buffer_bytes
        self.left = MemoryLink(left, "memory:right", self)
        self.right = MemoryLink(right, "memory:left", self)
        self._call: IDelayedCall | None = None

    def open(self) -> None:
        """Tell both receivers that the link is up, `right` first: it is the one that waits."""
        self.right.made()
        self.left.made()

    def flush(self) -> None:
        """Deliver whatever is due, and the answers to it, until both ends are silent.

        Raises RuntimeError if they never are.
        """
        for _ in range(MOST_ROUNDS):
            if not self._pump():
                return
        raise RuntimeError("the two ends of the link never fall silent")

    def cut(self, text: str = "the connection was cut") -> None:
        """Break the connection now: what is on its way is lost, and both ends hear of it."""
        reason = LinkLost(clean=False, code=None, text=text)
        self.end(reason)
        self._pump()

    # The two links call these.

    def end(self, reason: LinkLost) -> None:
        """Break the connection; both ends hear of it at the next pumping."""
        self.left.end(reason)
        self.right.end(reason)
        self.pump_soon()

    def due_s(self) -> float:
        """Return when something that is sent now arrives."""
        return 0.0 if self._reactor is None else self._reactor.seconds() + self._delay_s

    def pump_soon(self) -> None:
        """Arrange for the next delivery, if there is a reactor."""
        reactor = self._reactor
        if reactor is None:
            return
        dues_s = [due_s for end in self._ends() if (due_s := end.next_due_s()) is not None]
        if not dues_s:
            return
        wait_s = max(0.0, min(dues_s) - reactor.seconds())
        if self._call is None:
            self._call = reactor.callLater(wait_s, self._pump_turn)
        elif self._call.getTime() > reactor.seconds() + wait_s:
            self._call.reset(wait_s)

    def _ends(self) -> tuple[MemoryLink, MemoryLink]:
        return self.left, self.right

    def _pump_turn(self) -> None:
        self._call = None
        self._pump()

    def _pump(self) -> bool:
        now_s = 0.0 if self._reactor is None else self._reactor.seconds()
        moved = self.left.pump(self.right, now_s)
        moved = self.right.pump(self.left, now_s) or moved
        if self._call is not None and self.left.is_lost and self.right.is_lost:
            self._call.cancel()
            self._call = None
        self.pump_soon()
        return moved
