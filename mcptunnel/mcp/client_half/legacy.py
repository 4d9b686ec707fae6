"""Messages within a legacy session: what we answer ourselves, and what the service does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.answer import Outlet
from mcptunnel.mcp.client_half.http import BAD_REQUEST, UNAVAILABLE
from mcptunnel.mcp.client_half.legacy_call import LegacyCall
from mcptunnel.mcp.client_half.live import MAX_CALLS, Live
from mcptunnel.mcp.client_half.translate import to_modern
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    JsonRpcError,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.listens import LISTEN
from mcptunnel.mcp.meta import LOG_LEVELS, LogLevel
from mcptunnel.mcp.service import Running

_ids: msgspec.json.Decoder[RequestId] = msgspec.json.Decoder(RequestId)
_levels: msgspec.json.Decoder[LogLevel] = msgspec.json.Decoder(LogLevel)
_EMPTY: Final = Raw(b"{}")
MAX_URI_CHARS: Final = 8 * 1024


def take(live: Live, message: Notification | Response) -> None:
    """Take a message that is not answered."""
    if isinstance(message, Response):
        live.answered(message)
    elif message.method == "notifications/cancelled":
        _cancel(live, message)


def request(live: Live, message: Request, out: Outlet, size_bytes: int) -> None:
    """Answer a request, now or later; `size_bytes` is what it holds in memory."""
    if message.id in live.calls:
        error = JsonRpcError(
            INVALID_REQUEST, "A request with this id is in flight", None, message.id
        )
        out.respond(BAD_REQUEST, jsonrpc.encode(error.response()))
        return
    if len(live.calls) >= MAX_CALLS:
        error = JsonRpcError(
            INTERNAL_ERROR, "Too many requests of this session are in flight", None, message.id
        )
        out.respond(UNAVAILABLE, jsonrpc.encode(error.response()))
        return
    call = LegacyCall(live, message, out)
    try:
        own = _OWN.get(message.method)
        if own is not None:
            call.run(own(live, message, call))
        else:
            call.start(live.service, to_modern(message, live.session), size_bytes)
    except JsonRpcError as error:
        call.error(error)


def _cancel(live: Live, message: Notification) -> None:
    """Cancel a call of this session; one that is over, or was never made, is passed over."""
    try:
        request_id = _ids.decode(message.params.get("requestId", b""))
    except msgspec.MsgspecError:
        return
    call = live.calls.get(request_id)
    if call is not None:
        call.cancel(jsonrpc.text(message.params.get("reason")) or "cancelled by the client")


# What the modern dialect has no requests for.


def _ping(_live: Live, _request: Request, call: LegacyCall) -> None:
    call.result(_EMPTY)


def _set_level(live: Live, request: Request, call: LegacyCall) -> None:
    try:
        level = _levels.decode(request.params.get("level", b"null"))
    except msgspec.MsgspecError:
        known = ", ".join(LOG_LEVELS)
        raise JsonRpcError(INVALID_PARAMS, f"level must be one of {known}") from None
    live.change(replace(live.session, log_level=level))
    call.result(_EMPTY)


def _subscribe(live: Live, request: Request, call: LegacyCall) -> Running | None:
    return live.listening.subscribe(_uri(request), call)


def _unsubscribe(live: Live, request: Request, call: LegacyCall) -> None:
    live.listening.unsubscribe(_uri(request))
    call.result(_EMPTY)


def _uri(request: Request) -> str:
    uri = jsonrpc.text(request.params.get("uri"))
    if uri is None or len(uri) > MAX_URI_CHARS:
        raise JsonRpcError(
            INVALID_PARAMS,
            f"{request.method} needs uri, a string of at most {MAX_URI_CHARS} characters",
        )
    return uri


def _unknown(_live: Live, request: Request, _call: LegacyCall) -> None:
    raise JsonRpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}")


def _again(_live: Live, _request: Request, _call: LegacyCall) -> None:
    raise JsonRpcError(INVALID_REQUEST, "This session is initialized already")


_OWN: Final[dict[str, Callable[[Live, Request, LegacyCall], Running | None]]] = {
    "initialize": _again,
    "ping": _ping,
    "logging/setLevel": _set_level,
    "resources/subscribe": _subscribe,
    "resources/unsubscribe": _unsubscribe,
    "server/discover": _unknown,  # modern methods are not a legacy session's
    LISTEN: _unknown,
}
