"""Streams: the two halves of each, and the table of all that live.

A stream carries one exchange: a request (head and body) one way, a response (head and body) the
other. Each way is a *half*, and both halves follow the same table:

    AWAITING_HEAD --HEAD--> BODY --DATA--> BODY --END--> ENDED

The half of the opener starts in BODY, because OPEN carries the head. Anything that is not in the table
is an error of whoever did it. A stream is forgotten when both halves have ended, or on RESET; what
arrives for it afterwards was under way and is ignored. That needs no memory of dead streams: ids only
ever grow, so an id up to the highest one seen was there once.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.scheduler import Outbox
from mcptunnel.wire.windows import ReceiveWindow


class HalfState(StrEnum):
    """Where one direction of a stream stands."""

    AWAITING_HEAD = "awaiting head"
    BODY = "body"
    ENDED = "ended"


class HalfStep(StrEnum):
    """What can happen on one direction of a stream."""

    HEAD = "HEAD"
    DATA = "DATA"
    END = "END"


# A table in a table: for every DATA frame, two lookups by a string cost less than one by a pair.
_AFTER: dict[HalfState, dict[HalfStep, HalfState]] = {
    HalfState.AWAITING_HEAD: {HalfStep.HEAD: HalfState.BODY},
    HalfState.BODY: {HalfStep.DATA: HalfState.BODY, HalfStep.END: HalfState.ENDED},
    HalfState.ENDED: {},
}


@dataclass(slots=True)
class Stream:
    """One live stream, as one side sees it."""

    stream_id: int
    ours: bool
    outbox: Outbox
    window: ReceiveWindow
    sending: HalfState = field(init=False)
    receiving: HalfState = field(init=False)

    def __post_init__(self) -> None:
        self.sending = HalfState.BODY if self.ours else HalfState.AWAITING_HEAD
        self.receiving = HalfState.AWAITING_HEAD if self.ours else HalfState.BODY

    def send(self, step: HalfStep) -> None:
        """Take a step of ours. Raises LocalProtocolError if it is out of order."""
        state = _AFTER[self.sending].get(step)
        if state is None:
            raise LocalProtocolError(f"{step.value} cannot be sent: {self.sending.value}")
        self.sending = state

    def receive(self, step: HalfStep) -> None:
        """Take a step of the peer. Raises RemoteProtocolError if it is out of order."""
        state = _AFTER[self.receiving].get(step)
        if state is None:
            raise RemoteProtocolError(
                ErrorCode.PROTOCOL_ERROR, f"{step.value} out of order: {self.receiving.value}"
            )
        self.receiving = state

    @property
    def finished(self) -> bool:
        """Whether both bodies are complete and the last of ours was handed out."""
        return self.receiving is HalfState.ENDED and self.outbox.end_count > 0


class StreamTable:
    """The live streams of a session, and who may open the next one."""

    __slots__ = ("_live", "_next_own_id", "_peer_parity", "highest_peer_id", "own_count")

    def __init__(self, role: Role) -> None:
        self._live: dict[int, Stream] = {}
        self._next_own_id = role.first_stream_id
        self._peer_parity = role.peer.first_stream_id % 2
        self.highest_peer_id = 0
        self.own_count = 0

    def __len__(self) -> int:
        return len(self._live)

    @property
    def peer_count(self) -> int:
        return len(self._live) - self.own_count

    def get(self, stream_id: int) -> Stream | None:
        return self._live.get(stream_id)

    def existed(self, stream_id: int) -> bool:
        """Whether a stream of this id lives or lived. Ids that were passed over count as well."""
        if stream_id % 2 == self._peer_parity:
            return stream_id <= self.highest_peer_id
        return stream_id < self._next_own_id

    @property
    def next_own_id(self) -> int:
        """The id that our next stream will have."""
        return self._next_own_id

    def claim_peer_id(self, stream_id: int) -> None:
        """Use up an id that the peer chose; the stream need not be taken.

        Raises RemoteProtocolError if the id is not the peer's to choose, or not above the last one.
        """
        if stream_id % 2 != self._peer_parity:
            raise RemoteProtocolError(
                ErrorCode.PROTOCOL_ERROR, "OPEN with an id of the other side's kind"
            )
        if stream_id <= self.highest_peer_id:
            raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, "OPEN with an id used before")
        self.highest_peer_id = stream_id

    def add(self, stream: Stream) -> None:
        """Add a stream: ours with `next_own_id`, the peer's with an id just claimed."""
        self._live[stream.stream_id] = stream
        if stream.ours:
            self._next_own_id += 2
            self.own_count += 1

    def remove(self, stream_id: int) -> Stream | None:
        """Forget a stream. Returns None if it does not live."""
        stream = self._live.pop(stream_id, None)
        if stream is not None and stream.ours:
            self.own_count -= 1
        return stream

    def own_above(self, stream_id: int) -> list[int]:
        """Return the ids of our live streams above `stream_id`, in order."""
        return sorted(
            s.stream_id for s in self._live.values() if s.ours and s.stream_id > stream_id
        )

    def live(self) -> list[Stream]:
        """Return all live streams, by id."""
        return [self._live[stream_id] for stream_id in sorted(self._live)]
