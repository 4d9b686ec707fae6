"""What a session tells its owner, in the order in which it happened."""

from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from mcptunnel.model import Outcome, RequestHead, ResponseHead
from mcptunnel.wire.constants import ErrorCode


class _OfStream(Struct, frozen=True):
    """What every call brings: a struct is made in a seventh of a dataclass's time."""

    stream_id: int

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stream_id})"


class StreamOpened(_OfStream, frozen=True):
    """The peer opened a stream; its body follows."""

    head: RequestHead


class HeadReceived(_OfStream, frozen=True):
    """The peer answered on a stream that we opened; the body follows."""

    head: ResponseHead


class DataReceived(_OfStream, frozen=True):
    """Bytes of a body. Call `Session.consumed` once somebody has taken them."""

    data: bytes


class EndReceived(_OfStream, frozen=True):
    """The peer's body is complete."""


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer dropped the stream. It is gone; nothing is to be sent."""

    stream_id: int
    code: ErrorCode
    text: str


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The stream is gone without a word of the peer about it."""

    stream_id: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StreamDrained:
    """A stream that had too many unsent bytes takes more again."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PeerGoingAway:
    """The peer takes no new streams. What it never looked at is reported as `StreamLost`."""

    last_stream_id: int
    code: ErrorCode
    text: str
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Nothing came from the peer for too long; the link is to be taken for dead. Said once.

    `deaf` says that something came, but for too long no sign that it takes what we send.
    """

    deaf: bool = False


Event: TypeAlias = (
    StreamOpened
    | HeadReceived
    | DataReceived
    | EndReceived
    | StreamReset
    | StreamLost
    | StreamDrained
    | PeerGoingAway
    | PeerSilent
)


def with_data_joined(found: list[Event]) -> list[Event]:
    """Return events with all bytes of a stream where its first were; the order within a stream stays."""
    pieces: dict[int, list[bytes]] = {}
    kept: list[Event] = []
    for event in found:
        if isinstance(event, DataReceived):
            before = pieces.get(event.stream_id)
            if before is not None:
                before.append(event.data)
                continue
            pieces[event.stream_id] = [event.data]
        kept.append(event)
    return [
        DataReceived(event.stream_id, b"".join(pieces[event.stream_id]))
        if isinstance(event, DataReceived)
        else event
        for event in kept
    ]
