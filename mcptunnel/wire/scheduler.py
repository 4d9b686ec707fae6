"""What goes out next.

Four queues, in this order: frames about the link (PING, PONG, ACK), which nothing may delay, and of
which only the newest of each type is worth sending; control frames, in the order in which they were
made; and the bodies, of which every stream with bytes and credit sends one DATA frame per turn: first
those of light streams, then the bulk. Bodies stay uncut until they are handed out: the later the
choice, the fairer the turns and the larger the frames.

A stream is light while its share of what was sent lately is small. New ones are, so calls and events
pass large bodies by; a stream that has waited long becomes light again, so nobody starves.
"""

from collections import OrderedDict, deque

from mcptunnel.wire.codec import data_prefix, data_size, end_of, type_of, without_stream
from mcptunnel.wire.constants import HIGH_WATER_BYTES, KIB, LOW_WATER_BYTES
from mcptunnel.wire.settings import Settings
from mcptunnel.wire.windows import SendWindow

_TURN_OVERHEAD_BYTES = 32
"""The frame around the bytes of a turn, and an END behind it, are never longer than this."""

_CONTROL_FRAMES_PER_STREAM = 8
_CONTROL_FRAMES_BESIDE = 1024

_LEAST_TURN_BYTES = KIB
"""With less room than this, a message is full: better a new one than a splinter."""

LIGHT_BYTES = 16 * KIB
"""A stream that sent fewer bytes than this lately is light."""

LATELY_BYTES = 1024 * KIB
"""Each time that all streams together have sent so much, what one of them sent before counts half."""


class Outbox:
    """What one stream has yet to send of its body.

    `end_count` is the number of the END among the numbered frames of the session once it was handed
    out, 0 before. `drained` turns true when the bytes fall below
    the low-water mark, having been over the high one, and more may follow; the reader resets it.
    """

    __slots__ = (
        "_chunks",
        "_end_wanted",
        "_lately_bytes",
        "_lately_until",
        "_over_high_water",
        "_prefix",
        "_taken_bytes",
        "drained",
        "end_count",
        "stream_id",
        "unsent_bytes",
        "window",
    )

    def __init__(self, stream_id: int, credit_bytes: int) -> None:
        self.stream_id = stream_id
        self.window = SendWindow(credit_bytes)
        self.unsent_bytes = 0
        self.end_count = 0
        self.drained = False
        self._chunks: deque[bytes] = deque()
        self._taken_bytes = 0  # of the first chunk
        self._end_wanted = False
        self._over_high_water = False
        self._prefix = data_prefix(stream_id)
        self._lately_bytes = 0
        self._lately_until = 0  # by the clock of the scheduler

    def is_light(self, clock: int) -> bool:
        """Whether it sent little lately; `clock` ticks each LATELY_BYTES of all streams."""
        ticks = clock - self._lately_until
        if ticks:
            self._lately_until = clock
            self._lately_bytes >>= ticks
        return self._lately_bytes < LIGHT_BYTES

    @property
    def ready(self) -> bool:
        """Whether there is something to send and leave to send it. END needs no credit."""
        if self.unsent_bytes:
            return self.window.credit_bytes > 0
        return self._end_wanted and not self.end_count

    def put(self, data: bytes) -> None:
        self._chunks.append(data)
        self.unsent_bytes += len(data)
        if self.unsent_bytes > HIGH_WATER_BYTES:
            self._over_high_water = True

    def put_end(self) -> None:
        self._end_wanted = True

    def take_turn(
        self, parts: list[bytes | memoryview], most_bytes: int, number: int
    ) -> tuple[int, int]:
        """Append one DATA frame of at most `most_bytes` of body, and END if nothing is left.

        `number` is that of the last frame before. Returns how many bytes were appended, and the number
        of the last frame now.
        """
        total = 0
        count = min(self.unsent_bytes, self.window.credit_bytes, most_bytes)
        if count:
            self.window.spend(count)
            self._lately_bytes += count
            size = data_size(count)
            parts.append(self._prefix)
            parts.append(size)
            self._cut(parts, count)
            total = len(self._prefix) + len(size) + count
            number += 1
        if self._end_wanted:
            if not self.unsent_bytes:
                end = end_of(self.stream_id)
                parts.append(end)
                total += len(end)
                number += 1
                self.end_count = number
        elif self._over_high_water and self.unsent_bytes < LOW_WATER_BYTES:
            self._over_high_water = False
            self.drained = True
        return total, number

    def _cut(self, parts: list[bytes | memoryview], count: int) -> None:
        """Move `count` bytes, of as many chunks as it takes, without copying them."""
        self.unsent_bytes -= count
        chunks = self._chunks
        while count:
            first = chunks[0]
            left = len(first) - self._taken_bytes
            if left <= count:
                parts.append(memoryview(first)[self._taken_bytes :] if self._taken_bytes else first)
                chunks.popleft()
                self._taken_bytes = 0
                count -= left
            else:
                end = self._taken_bytes + count
                parts.append(memoryview(first)[self._taken_bytes : end])
                self._taken_bytes = end
                count = 0


class Scheduler:
    """The queues of one session.

    `numbered_count` is the number of the last numbered frame that was handed out. `is_overfull` says
    that more control frames wait than the live streams of two honest sides can need: each has at most
    its OPEN or HEAD, two WINDOW and a RESET. Then it is the peer that makes us answer and does not read.
    """

    __slots__ = (
        "_bulk",
        "_control",
        "_light",
        "_link",
        "_most_control",
        "_settings",
        "_taken_bytes",
        "numbered_count",
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link: dict[int, bytes] = {}  # by type
        self._control: deque[bytes] = deque()
        self._light: OrderedDict[int, Outbox] = OrderedDict()
        self._bulk: OrderedDict[int, Outbox] = OrderedDict()
        self._taken_bytes = 0
        self._most_control = (
            _CONTROL_FRAMES_BESIDE + _CONTROL_FRAMES_PER_STREAM * settings.max_streams
        )
        self.numbered_count = 0

    def put_link(self, frame: bytes) -> None:
        """Queue an encoded frame that is about the link; it goes before everything else.

        One of the same type that still waits is out of date.
        """
        self._link[type_of(frame)] = frame

    def put_control(self, frame: bytes) -> None:
        """Queue an encoded frame that keeps its order, before all bodies."""
        self._control.append(frame)

    @property
    def is_overfull(self) -> bool:
        """Whether too many control frames wait."""
        return len(self._control) > self._most_control

    @property
    def control_bytes(self) -> int:
        """How long the control frames are that wait; counted when asked for."""
        return sum(map(len, self._control))

    def wake(self, outbox: Outbox) -> None:
        """Give a stream its turns, if it is ready; call after bytes, END or credit were added."""
        stream_id = outbox.stream_id
        if outbox.ready and stream_id not in self._light and stream_id not in self._bulk:
            self._queue_of(outbox)[stream_id] = outbox

    def drop(self, stream_id: int) -> None:
        """Take the turns from a stream that is gone."""
        self._light.pop(stream_id, None)
        self._bulk.pop(stream_id, None)

    def retract(self, stream_id: int) -> bool:
        """Take back what waits of a stream that is dropped; return whether its OPEN did.

        Then the peer never hears of it. So dropped streams take no room while nothing can be sent.
        """
        self.drop(stream_id)
        if not self._control:
            return False
        kept, has_open = without_stream(self._control, stream_id)
        self._control = deque(kept)
        return has_open

    def clear_link(self) -> None:
        """Forget what is about the link: it is gone."""
        self._link.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._link.clear()
        self._control.clear()
        self._light.clear()
        self._bulk.clear()

    def link_message(self) -> bytes | None:
        """Return the next message of frames about the link alone, or None."""
        if not self._link:
            return None
        message = b"".join(self._link.values())
        self._link.clear()
        return message

    def next_message(self, *, with_bulk: bool = True) -> tuple[bytes, int, list[Outbox]] | None:
        """Return the next message, or None; the bulk can be left where it is.

        With it come how many of its bytes, at the start, are about the link, and the outboxes that
        ended or drained by it. A message is at most `message_bytes` long, or it is a single frame; those
        about the link, at most one of each type, come on top if need be.
        """
        parts: list[bytes | memoryview] = []
        room = self._settings.message_bytes
        link_bytes = 0
        if self._link:
            parts.append(self.link_message() or b"")
            link_bytes = len(parts[0])
            room -= link_bytes
        if self._control:
            queued = len(self._control)
            room = self._fill(parts, self._control, room)
            self.numbered_count += queued - len(self._control)
        changed: list[Outbox] = []
        if not self._control:
            if self._light:
                self._lighten()
                room = self._take_turns(self._light, parts, room, changed)
            if with_bulk and self._bulk and not self._light:
                self._take_turns(self._bulk, parts, room, changed)
        if not parts:
            return None
        return b"".join(parts), link_bytes, changed

    def _lighten(self) -> None:
        """Let bulk that has waited for long take its turns with the light."""
        clock = self._taken_bytes // LATELY_BYTES
        while self._bulk:
            stream_id, outbox = next(iter(self._bulk.items()))
            if not outbox.is_light(clock):
                return
            del self._bulk[stream_id]
            self._light[stream_id] = outbox

    @staticmethod
    def _fill(parts: list[bytes | memoryview], queue: deque[bytes], room: int) -> int:
        while queue and (len(queue[0]) <= room or not parts):
            frame = queue.popleft()
            parts.append(frame)
            room -= len(frame)
        return room

    def _take_turns(
        self,
        turns: OrderedDict[int, Outbox],
        parts: list[bytes | memoryview],
        room: int,
        changed: list[Outbox],
    ) -> int:
        most_bytes = self._settings.max_data_bytes
        number = self.numbered_count
        while turns and (room >= _LEAST_TURN_BYTES or not parts):
            stream_id, outbox = turns.popitem(last=False)
            space = max(room - _TURN_OVERHEAD_BYTES, 1)
            taken, number = outbox.take_turn(parts, min(most_bytes, space), number)
            room -= taken
            self._taken_bytes += taken
            if outbox.ready:
                self._queue_of(outbox)[stream_id] = outbox
            if outbox.end_count or outbox.drained:
                changed.append(outbox)
        self.numbered_count = number
        return room

    def _queue_of(self, outbox: Outbox) -> OrderedDict[int, Outbox]:
        return self._light if outbox.is_light(self._taken_bytes // LATELY_BYTES) else self._bulk
