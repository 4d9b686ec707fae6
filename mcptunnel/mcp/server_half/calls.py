"""The calls in flight on one child, under ids of our own.

Callers choose ids and progress tokens without knowing of each other, and two may choose the same. So
each call gets one integer that no other call on this child ever has; it is the request's id and, if
the caller wants progress, its token (2026-07-28, basic/patterns/progress).
"""

from dataclasses import dataclass

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
from mcptunnel.mcp.server_half import translate
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import Era

_own_id = msgspec.json.Decoder(int)
_token = msgspec.json.Decoder(str | int | None)


@dataclass(frozen=True, slots=True)
class _Call:
    key: int
    request_id: RequestId
    method: str
    token: Raw | None


class OpenCalls:
    """Calls that were written to a child and not answered yet, by caller's key and by own id."""

    def __init__(self) -> None:
        self._by_id: dict[RequestId | None, _Call] = {}
        self._ids: dict[int, int] = {}
        self._next_id = 1

    def __len__(self) -> int:
        return len(self._ids)

    def new_id(self) -> int:
        """Return an id that this child has not seen."""
        own = self._next_id
        self._next_id = own + 1
        return own

    def issued(self, own: RequestId | None) -> bool:
        """Say whether an id was ever ours: its answer may come after the call was cancelled."""
        return isinstance(own, int) and 0 < own < self._next_id

    def open(self, key: int, request: Request, era: Era) -> bytes:
        """Remember a call and return the line that asks it of a server of that era.

        No other open call may have the same `key`. Raises JsonRpcError (INVALID_PARAMS) if `_meta`
        is no object or its progress token is neither text nor an integer; then nothing is remembered.
        """
        params, token = request.params, None
        own = self.new_id()
        if meta.META in params:
            values = translate.meta_of(params)
            token = _token_of(values)
            if era is Era.LEGACY:
                values = translate.own_keys_removed(values)
            if token is not None:
                values[meta.PROGRESS_TOKEN] = Raw(b"%d" % own)
            if token is not None or era is Era.LEGACY:
                params = jsonrpc.with_member(params, meta.META, values or None)
        self._by_id[own] = _Call(key, request.id, request.method, token)
        self._ids[key] = own
        return jsonrpc.encode(Request(own, request.method, params))

    def forget(self, key: int) -> int | None:
        """Drop a call and return its own id; None if there is no such call."""
        own = self._ids.pop(key, None)
        if own is not None:
            del self._by_id[own]
        return own

    def answer(self, response: Response, info: ServerInfo) -> Deliver | None:
        """Close the call that a response answers; None if it answers none."""
        call = self._by_id.pop(response.id, None)
        if call is None:
            return None
        del self._ids[call.key]
        return Deliver(call.key, _restored(response, call, info))

    def progress(self, notification: Notification) -> Deliver | None:
        """Return progress under the caller's own token; None if it belongs to no call."""
        params = notification.params
        try:
            own = _own_id.decode(params.get(meta.PROGRESS_TOKEN, b""))
        except msgspec.MsgspecError:
            return None
        call = self._by_id.get(own)
        if call is None or call.token is None:
            return None
        restored = jsonrpc.with_member(params, meta.PROGRESS_TOKEN, call.token)
        return Deliver(call.key, Notification(notification.method, restored))

    def drain(self) -> list[int]:
        """Drop all calls and return their keys, oldest first."""
        keys = list(self._ids)
        self._ids.clear()
        self._by_id.clear()
        return keys


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


def _restored(response: Response, call: _Call, info: ServerInfo) -> Response:
    result, error = response.result, response.error
    if info.era is Era.MODERN:
        return Response(call.request_id, result, error)
    if result is None:
        modern_error = None if error is None else translate.to_modern_error(error)
        return Response(call.request_id, error=modern_error)
    try:
        modern = translate.to_modern_result(call.method, result, info.server_info)
    except JsonRpcError as problem:
        return problem.response(call.request_id)
    return Response(call.request_id, modern)
