"""What has to hold for any bytes from outside. Each target takes bytes, and raises if it does not.

A function here knows nothing of how the bytes are found: `tests.fuzz.one` gives it those of a
fuzzer, `tests.fuzz.test_targets` a few of its own.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import get_args

from msgspec import Raw

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.wire import frames
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.errors import RemoteProtocolError
from tests.fuzz.talk import talk

GOOD_MESSAGE = encode(frames.Ping(1))
MAX_EVENT_BYTES = 256
_FRAMES = get_args(frames.Frame)


def decoder(data: bytes) -> None:
    """A message is frames or a RemoteProtocolError, and the decoder goes on with the next one.

    What was decoded can be encoded, and is the same when it is decoded again.
    """
    reader = Decoder()
    try:
        found = reader.decode(data)
    except RemoteProtocolError:
        found = []
    for frame in found:
        assert isinstance(frame, _FRAMES), frame
        if not isinstance(frame, frames.Unknown):
            assert Decoder().decode(encode(frame)) == [frame], frame
    assert reader.decode(GOOD_MESSAGE) == [frames.Ping(1)]


def session(data: bytes) -> None:
    """A session that hears anything gives events or a RemoteProtocolError, and speaks the protocol."""
    talk(data)


def events(data: bytes) -> None:
    """An event stream means the same in one piece as in pieces of any size; events can be written."""
    size = 1 + (data[0] if data else 0)
    stream = data[1:]
    whole = _parsed([stream])
    assert _parsed([stream[at : at + size] for at in range(0, len(stream), size)]) == whole
    assert _parsed([bytes([byte]) for byte in stream]) == whole
    for event in whole[0]:
        (again,) = sse.Parser(1 << 20).feed(sse.encode(event.data, event.type))
        assert (again.type, again.data) == (event.type, event.data), event


def _parsed(chunks: list[bytes]) -> tuple[list[sse.Event], bool]:
    """Return the events, and whether one was too large."""
    parser = sse.Parser(MAX_EVENT_BYTES)
    found: list[sse.Event] = []
    for chunk in chunks:
        try:
            found += parser.feed(chunk)
        except sse.EventTooLarge as error:
            return found + error.events, True
        assert parser.held_bytes <= MAX_EVENT_BYTES
    return found, False


def messages(data: bytes) -> None:
    """A JSON-RPC message is read or refused with a JsonRpcError, and what was read can be passed on."""
    try:
        message = jsonrpc.parse(data)
    except JsonRpcError as error:
        jsonrpc.encode(error.response())
        return
    if isinstance(message, jsonrpc.Batch):
        return
    line = jsonrpc.encode(message)
    assert b"\n" not in line
    again = jsonrpc.parse(line)
    assert type(again) is type(message), line
    assert getattr(again, "id", None) == getattr(message, "id", None), line
    if isinstance(message, jsonrpc.Response):
        jsonrpc.error_of(message)
    elif isinstance(again, jsonrpc.Request | jsonrpc.Notification):
        assert again.method == message.method
        assert list(again.params) == list(message.params)
        for value in message.params.values():
            _read(value)


def _read(value: Raw) -> None:
    """Read a member in every way that the programs do."""
    jsonrpc.text(value)
    for read in (jsonrpc.decode, jsonrpc.members):
        with suppress(JsonRpcError):
            read(value)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "decoder": decoder,
    "session": session,
    "events": events,
    "messages": messages,
}
