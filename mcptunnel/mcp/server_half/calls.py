"""The calls in flight on one server, under ids of our own.

Callers choose ids and progress tokens without knowing of each other, and two may choose the same. So
each call gets one integer that no other call on this server ever has; it is the request's id and, if
the caller wants progress, its token (2026-07-28, basic/patterns/progress).

A call whose server asked its client something is *parked*: the caller has heard `input_required`, and
the server still works on the request. Its retry takes it up again, under another key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    INVALID_PARAMS,
    JsonRpcError,
    Members,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.meta import LogLevel
from mcptunnel.mcp.server_half import capabilities, request_state, results, translate
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.capabilities import Declared
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era

ASKABLE: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Methods whose caller can be asked something (2026-07-28, basic/patterns/mrtr)."""

_own_id = msgspec.json.Decoder(int)
_token = msgspec.json.Decoder(str | int | None)
_level = msgspec.json.Decoder(LogLevel | None)


@dataclass(slots=True)
class Call:
    """A call on a server. `key` is that of who waits for it; None while it is parked.

    `questions` are those of the server that the client has not answered, by the key that the client
    knows; `held` is an answer that came while nobody waited.
    """

    own: int
    key: int | None
    request_id: RequestId
    method: str
    asker: Asker
    token: Raw | None = None
    level: LogLevel | None = None
    declared: Declared = capabilities.NOTHING
    digest: bytes = b""
    came_early: bool = False
    questions: dict[str, Request] = field(default_factory=dict)
    asked_count: int = 0
    round: int = 0
    expires_s: float = 0.0
    held: Response | None = None


class OpenCalls:
    """Calls that were written to a server and not answered yet, by caller's key and by own id."""

    def __init__(self) -> None:
        self._by_id: dict[RequestId | None, Call] = {}
        self._ids: dict[int, int] = {}
        self._next_id = 1

    def __len__(self) -> int:
        """Return for how many calls somebody waits."""
        return len(self._ids)

    def __iter__(self) -> Iterator[Call]:
        """Give all calls on the server, parked ones too, oldest first."""
        return iter(self._by_id.values())

    @property
    def parked_count(self) -> int:
        """For how many calls nobody waits at the moment."""
        return len(self._by_id) - len(self._ids)

    def get(self, own: RequestId | None) -> Call | None:
        """Return a call by own id."""
        return self._by_id.get(own)

    def new_id(self) -> int:
        """Return an id that this server has not seen."""
        own = self._next_id
        self._next_id = own + 1
        return own

    def issued(self, own: RequestId | None) -> bool:
        """Say whether an id was ever ours: its answer may come after the call was cancelled."""
        return isinstance(own, int) and 0 < own < self._next_id

    def open(self, key: int, request: Request, era: Era, asker: Asker = NOBODY) -> bytes:
        """Remember a call and return the line that asks it of a server of that era.

        No other open call may have the same `key`. Raises JsonRpcError (INVALID_PARAMS) if `_meta`
        is no object, or its progress token or log level is of a wrong kind; then nothing is
        remembered.
        """
        params = request.params
        own = self.new_id()
        call = Call(own, key, request.id, request.method, asker)
        if meta.META in params:
            values = translate.meta_of(params)
            _read_meta(call, values, era)
            if era is Era.LEGACY:
                values = translate.own_keys_removed(values)
            if call.token is not None:
                values[meta.PROGRESS_TOKEN] = Raw(b"%d" % own)
            if call.token is not None or era is Era.LEGACY:
                params = jsonrpc.with_member(params, meta.META, values or None)
        if era is Era.LEGACY and call.method in ASKABLE:
            params = request_state.bare(params)
            if call.declared != capabilities.NOTHING:
                call.digest = request_state.digest(call.method, params)
        self._by_id[own] = call
        self._ids[key] = own
        return jsonrpc.encode(Request(own, request.method, params))

    def of_key(self, key: int) -> Call | None:
        """Return the call that somebody waits for."""
        own = self._ids.get(key)
        return None if own is None else self._by_id.get(own)

    def forget(self, key: int) -> int | None:
        """Drop a call and return its own id; None if there is no such call."""
        own = self._ids.pop(key, None)
        if own is not None:
            del self._by_id[own]
        return own

    def park(self, call: Call, expires_s: float) -> None:
        """Keep a call that nobody waits for, until then."""
        if call.key is not None:
            del self._ids[call.key]
        call.key = None
        call.round += 1
        call.expires_s = expires_s

    def take_up(self, call: Call, key: int, request: Request) -> None:
        """Let the retry of a parked call wait for it. Raises JsonRpcError (INVALID_PARAMS)."""
        read = Call(call.own, key, request.id, call.method, call.asker)
        _read_meta(read, translate.meta_of(request.params), Era.LEGACY)
        call.key, call.request_id = key, request.id
        call.token, call.level, call.declared = read.token, read.level, read.declared
        self._ids[key] = call.own

    def drop(self, call: Call) -> None:
        """Drop a parked call."""
        del self._by_id[call.own]

    def answer(self, response: Response, info: ServerInfo) -> Deliver | None:
        """Close the call that a response answers; None if it answers none.

        The answer to a parked call is held for its retry.
        """
        call = self._by_id.get(response.id)
        if call is None:
            return None
        if call.key is None:
            call.held = response
            return None
        del self._by_id[call.own]
        del self._ids[call.key]
        restored = results.restored(response, call.request_id, call.method, info, call.declared)
        return Deliver(call.key, restored)

    def progress(self, notification: Notification) -> Deliver | None:
        """Return progress under the caller's own token; None if nobody waits for it."""
        params = notification.params
        try:
            own = _own_id.decode(params.get(meta.PROGRESS_TOKEN, b""))
        except msgspec.MsgspecError:
            return None
        call = self._by_id.get(own)
        if call is None or call.token is None or call.key is None:
            return None
        restored = jsonrpc.with_member(params, meta.PROGRESS_TOKEN, call.token)
        return Deliver(call.key, Notification(notification.method, restored))

    def drain(self) -> list[int]:
        """Drop all calls and return the keys of those that somebody waits for, oldest first."""
        keys = list(self._ids)
        self._ids.clear()
        self._by_id.clear()
        return keys


def _read_meta(call: Call, values: Members, era: Era) -> None:
    """Take out of `_meta` what the call needs; the progress token is not left in `values`."""
    call.token = _token_of(values)
    if meta.LOG_LEVEL in values:
        try:
            call.level = _level.decode(values[meta.LOG_LEVEL])
        except msgspec.MsgspecError:
            raise JsonRpcError(INVALID_PARAMS, "Invalid _meta: unknown logLevel") from None
    if era is Era.LEGACY and call.method in ASKABLE:
        call.declared = capabilities.read(values.get(meta.CLIENT_CAPABILITIES))


def _token_of(values: Members) -> Raw | None:
    """Take out a progress token, as a copy: it must not keep the whole request in memory."""
    encoded = values.pop(meta.PROGRESS_TOKEN, None)
    if encoded is None:
        return None
    try:
        token = _token.decode(encoded)
    except msgspec.MsgspecError:
        raise JsonRpcError(
            INVALID_PARAMS, "Invalid _meta: progressToken must be a string or an integer"
        ) from None
    return None if token is None else Raw(bytes(encoded))
