"""Frames to the values that make them up, and back: the order of the fields of every frame type.

A frame is `(type, stream_id, ...)`. All types have a fixed number of fields, except HELLO and WELCOME:
what a later version appends to those two is passed over.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.wire import fields as check
from mcptunnel.wire.constants import (
    MAX_STREAM_ID,
    MAX_WINDOW_BYTES,
    OPTIONAL_FRAME_TYPES,
    SESSION_ID,
    FrameType,
)
from mcptunnel.wire.fields import FieldError
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Frame,
    Goaway,
    Head,
    Hello,
    Open,
    Ping,
    Pong,
    Reset,
    Unknown,
    Welcome,
    Window,
)

Fields: TypeAlias = tuple[Any, ...]

_LEAST_FIELDS = 2
_HEADS_CACHED = 512  # each legacy session asks under a name of its own
_JSON = ("content-type", "application/json")
_USUAL_HEADERS = (
    (_JSON,),
    (_JSON, ("mcptunnel-client-era", "legacy")),
    (("content-type", "text/event-stream"),),
)

# As plain values: reading `.value` of an enumeration costs as much as packing a small frame.
_HELLO = FrameType.HELLO.value
_WELCOME = FrameType.WELCOME.value
_OPEN = FrameType.OPEN.value
_HEAD = FrameType.HEAD.value
_DATA = FrameType.DATA.value
_END = FrameType.END.value
_RESET = FrameType.RESET.value
_WINDOW = FrameType.WINDOW.value
_PING = FrameType.PING.value
_PONG = FrameType.PONG.value
_ACK = FrameType.ACK.value
_GOAWAY = FrameType.GOAWAY.value
_KIND_TEXTS = {kind: kind.value for kind in ExchangeKind}


def frame_of(fields: Any) -> Frame:
    """Return the frame that these values make up. Raises FieldError if they make up none."""
    if type(fields) is not tuple or len(fields) < _LEAST_FIELDS:
        raise FieldError("a frame must be an array of a type, a stream id and more")
    frame_type = fields[0]
    if type(frame_type) is not int:
        raise FieldError("a frame type must be an integer")
    read = _READ.get(frame_type)
    if read is None:
        return _unknown(fields)
    try:
        return read(*fields)
    except TypeError:
        # The readers check all types themselves, so it can only be the number of arguments.
        raise FieldError(f"{FrameType(frame_type).name} has another number of fields") from None


def fields_of(frame: Frame) -> Fields:
    """Return the values that make up a frame, unchecked."""
    return _FIELDS[type(frame)](frame)


def _unknown(fields: Fields) -> Unknown:
    if fields[0] not in OPTIONAL_FRAME_TYPES:
        raise FieldError("a frame of an unknown type that is not optional")
    return Unknown(fields[0], check.number(fields[1], "stream id", 0, MAX_STREAM_ID))


def _data(_type: int, stream_id: Any, data: Any) -> Data:
    return Data(check.stream_id(stream_id), check.data(data))


def _end(_type: int, stream_id: Any) -> End:
    return End(check.stream_id(stream_id))


def _window(_type: int, stream_id: Any, credit_bytes: Any) -> Window:
    return Window(
        check.stream_id(stream_id), check.number(credit_bytes, "credit", 1, MAX_WINDOW_BYTES)
    )


def _open(  # noqa: PLR0913, PLR0917 - the fields of the frame
    _type: int,
    stream_id: Any,
    target: Any,
    method: Any,
    path: Any,
    headers: Any,
    principal: Any,
    client: Any,
    kind: Any,
) -> Open:
    read = _request_head if _is_usual(headers) else _request_head.__wrapped__
    head = read(target, method, path, headers, principal, client, kind)
    return Open(check.stream_id(stream_id), head)


def _is_usual(headers: Any) -> bool:
    """Whether a head is one of those that come with every call of the hub: they are checked once.

    Longer ones are not kept, for they may be of any length and hold secrets.
    """
    return headers in _USUAL_HEADERS


@lru_cache(_HEADS_CACHED, typed=True)
def _request_head(
    target: Any, method: Any, path: Any, headers: Any, principal: Any, client: Any, kind: Any
) -> RequestHead:
    return RequestHead(
        check.name(target, "target", 1),
        check.method(method),
        check.path(path),
        check.headers(headers),
        check.text(principal, "principal"),
        check.text(client, "client"),
        check.kind(kind),
    )


@lru_cache(_HEADS_CACHED, typed=True)
def _response_head(status: Any, headers: Any) -> ResponseHead:
    return ResponseHead(check.status(status), check.headers(headers))


def _open_fields(frame: Open) -> Fields:
    head = frame.head
    return (
        *(_OPEN, frame.stream_id, head.target, head.method, head.path),
        *(head.headers, head.principal, head.client, _KIND_TEXTS[head.kind]),
    )


def _head(_type: int, stream_id: Any, status: Any, headers: Any) -> Head:
    read = _response_head if _is_usual(headers) else _response_head.__wrapped__
    head = read(status, headers)
    return Head(check.stream_id(stream_id), head)


def _reset(_type: int, stream_id: Any, code: Any, text: Any) -> Reset:
    return Reset(check.stream_id(stream_id), check.code(code), check.text(text, "text"))


def _ping(_type: int, stream_id: Any, token: Any) -> Ping:
    check.session(stream_id)
    return Ping(check.number(token, "token"))


def _pong(_type: int, stream_id: Any, token: Any) -> Pong:
    check.session(stream_id)
    return Pong(check.number(token, "token"))


def _ack(_type: int, stream_id: Any, received_count: Any) -> Ack:
    check.session(stream_id)
    return Ack(check.number(received_count, "count"))


def _goaway(
    _type: int, stream_id: Any, last_stream_id: Any, code: Any, text: Any, retry_after_s: Any
) -> Goaway:
    check.session(stream_id)
    return Goaway(
        check.number(last_stream_id, "last stream id", 0, MAX_STREAM_ID),
        check.code(code),
        check.text(text, "text"),
        check.seconds(retry_after_s, "retry after"),
    )


def _hello(  # noqa: PLR0913, PLR0917 - the fields of the frame
    _type: int,
    stream_id: Any,
    versions: Any,
    installation_id: Any,
    device_name: Any,
    software_version: Any,
    limits: Any,
    resume_token: Any,
    last_received: Any,
    *_later: Any,
) -> Hello:
    check.session(stream_id)
    return Hello(
        versions=check.versions(versions),
        installation_id=check.name(installation_id, "installation id", 1),
        device_name=check.name(device_name, "device name", 1),
        software_version=check.name(software_version, "software version"),
        limits=check.limits(limits),
        resume_token=check.name(resume_token, "resume token"),
        last_received=check.number(last_received, "last received"),
    )


def _hello_fields(frame: Hello) -> Fields:
    limits = (frame.limits.window_bytes, frame.limits.max_streams)
    return (
        *(_HELLO, SESSION_ID, frame.versions, frame.installation_id),
        *(frame.device_name, frame.software_version, limits),
        *(frame.resume_token, frame.last_received),
    )


def _welcome(  # noqa: PLR0913, PLR0917 - the fields of the frame
    _type: int,
    stream_id: Any,
    version: Any,
    session_id: Any,
    device_name: Any,
    notice: Any,
    limits: Any,
    resumed: Any,
    resume_token: Any,
    last_received: Any,
    *_later: Any,
) -> Welcome:
    check.session(stream_id)
    return Welcome(
        version=check.number(version, "version", 1),
        session_id=check.name(session_id, "session id", 1),
        device_name=check.name(device_name, "device name", 1),
        notice=check.text(notice, "notice"),
        limits=check.limits(limits),
        resumed=check.boolean(resumed, "resumed"),
        resume_token=check.name(resume_token, "resume token"),
        last_received=check.number(last_received, "last received"),
    )


def _welcome_fields(frame: Welcome) -> Fields:
    limits = (frame.limits.window_bytes, frame.limits.max_streams)
    return (
        *(_WELCOME, SESSION_ID, frame.version, frame.session_id),
        *(frame.device_name, frame.notice, limits),
        *(frame.resumed, frame.resume_token, frame.last_received),
    )


_READ: dict[int, Callable[..., Frame]] = {
    _HELLO: _hello,
    _WELCOME: _welcome,
    _OPEN: _open,
    _HEAD: _head,
    _DATA: _data,
    _END: _end,
    _RESET: _reset,
    _WINDOW: _window,
    _PING: _ping,
    _PONG: _pong,
    _ACK: _ack,
    _GOAWAY: _goaway,
}

_FIELDS: dict[type[Any], Callable[[Any], Fields]] = {
    Hello: _hello_fields,
    Welcome: _welcome_fields,
    Open: _open_fields,
    Head: lambda f: (_HEAD, f.stream_id, f.head.status, f.head.headers),
    Data: lambda f: (_DATA, f.stream_id, f.data),
    End: lambda f: (_END, f.stream_id),
    Reset: lambda f: (_RESET, f.stream_id, int(f.code), f.text),
    Window: lambda f: (_WINDOW, f.stream_id, f.credit_bytes),
    Ping: lambda f: (_PING, SESSION_ID, f.token),
    Pong: lambda f: (_PONG, SESSION_ID, f.token),
    Ack: lambda f: (_ACK, SESSION_ID, f.received_count),
    Goaway: lambda f: (
        *(_GOAWAY, SESSION_ID, f.last_stream_id, int(f.code)),
        *(f.text, f.retry_after_s),
    ),
    Unknown: lambda f: (f.frame_type, f.stream_id),
}
