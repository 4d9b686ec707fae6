"""The frames of the tunnel protocol, decoded.

`str()` of a frame is fit for logs: never a payload, a header value, a path or a resume token.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args

from msgspec import Struct

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.wire.constants import PROTOCOL_VERSION, ErrorCode
from mcptunnel.wire.settings import Limits


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame of the agent. `last_received` counts frames of the session to resume, else 0."""

    installation_id: str
    device_name: str
    software_version: str
    limits: Limits = field(default_factory=Limits)
    versions: tuple[int, ...] = (PROTOCOL_VERSION,)
    resume_token: str = field(default="", repr=False)
    last_received: int = 0

    def __str__(self) -> str:
        return (
            f"HELLO versions={list(self.versions)} installation={self.installation_id!r} "
            f"device={self.device_name!r} software={self.software_version!r}{_of(self.limits)}"
        )


@dataclass(frozen=True, slots=True)
class Welcome:
    """First frame of the relay. `device_name` is the name as granted, `notice` is for a person."""

    session_id: str
    device_name: str
    notice: str = ""
    limits: Limits = field(default_factory=Limits)
    version: int = PROTOCOL_VERSION
    resumed: bool = False
    resume_token: str = field(default="", repr=False)
    last_received: int = 0

    def __str__(self) -> str:
        return (
            f"WELCOME version={self.version} device={self.device_name!r} "
            f"resumed={self.resumed}{_of(self.limits)}"
        )


def _of(limits: Limits) -> str:
    return f" window_bytes={limits.window_bytes} max_streams={limits.max_streams}"


class _OfStream(Struct, frozen=True):
    """A frame about a stream. There are many, and a struct is made in a seventh of a dataclass's time."""

    stream_id: int

    def __repr__(self) -> str:
        return f"<{self}>"


class Open(_OfStream, frozen=True):
    """Opens a stream with the head of a request."""

    head: RequestHead

    def __str__(self) -> str:
        head = self.head
        return (
            f"OPEN {self.stream_id} target={head.target!r} method={head.method} "
            f"kind={head.kind.value} headers={len(head.headers)}"
        )


class Head(_OfStream, frozen=True):
    """The head of the response on a stream."""

    head: ResponseHead

    def __str__(self) -> str:
        head = self.head
        return f"HEAD {self.stream_id} status={head.status} headers={len(head.headers)}"


class Data(_OfStream, frozen=True):
    """Bytes of a body; they cost credit."""

    data: bytes

    def __str__(self) -> str:
        return f"DATA {self.stream_id} bytes={len(self.data)}"


class End(_OfStream, frozen=True):
    """No more bytes will come on this stream from the sender."""

    def __str__(self) -> str:
        return f"END {self.stream_id}"


class Reset(_OfStream, frozen=True):
    """The sender has dropped the stream, in both directions."""

    code: ErrorCode
    text: str = ""

    def __str__(self) -> str:
        return f"RESET {self.stream_id} code={self.code.name} text={self.text!r}"


class Window(_OfStream, frozen=True):
    """The receiver of this frame may send `credit_bytes` more on the stream."""

    credit_bytes: int

    def __str__(self) -> str:
        return f"WINDOW {self.stream_id} credit_bytes={self.credit_bytes}"


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a PONG with the same token."""

    token: int

    def __str__(self) -> str:
        return f"PING token={self.token}"


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a PING."""

    token: int

    def __str__(self) -> str:
        return f"PONG token={self.token}"


@dataclass(frozen=True, slots=True)
class Ack:
    """How many numbered frames the sender has received in this session."""

    received_count: int

    def __str__(self) -> str:
        return f"ACK received={self.received_count}"


@dataclass(frozen=True, slots=True)
class Goaway:
    """The sender takes no new streams; those above `last_stream_id` were never looked at."""

    last_stream_id: int
    code: ErrorCode
    text: str = ""
    retry_after_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"GOAWAY last_stream_id={self.last_stream_id} code={self.code.name} "
            f"text={self.text!r} retry_after_s={self.retry_after_s:g}"
        )


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of an optional type that we do not know. It is ignored."""

    frame_type: int
    stream_id: int

    def __str__(self) -> str:
        return f"UNKNOWN {self.stream_id} type={self.frame_type}"


Frame: TypeAlias = (
    Hello
    | Welcome
    | Open
    | Head
    | Data
    | End
    | Reset
    | Window
    | Ping
    | Pong
    | Ack
    | Goaway
    | Unknown
)

FRAME_CLASSES: tuple[type[Any], ...] = get_args(Frame)

UNNUMBERED: frozenset[type[Any]] = frozenset((Hello, Welcome, Ping, Pong, Ack))
"""Frames about the link; all others are numbered by their order within the session."""
