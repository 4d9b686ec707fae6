"""A client's request that one server answers: to the right device, and back with an honest outcome."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import client_capabilities, input_required, jsonrpc, meta
from mcptunnel.mcp.calls import MEANING, CallFailure
from mcptunnel.mcp.input_required import INPUT_REQUIRED
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CLIENT_CAPABILITY,
    SPECIFICATIONS,
    JsonRpcError,
    Members,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.links import TooManyLinks
from mcptunnel.mcp.meta import (
    CLIENT_CAPABILITIES,
    META,
    SERVER_INFO,
    ProgressToken,
    RequestMeta,
)
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller
from mcptunnel.model import Outcome
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.draining import REFUSAL
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.server_call import ServerCall

MAX_KEPT_PARAMS_BYTES: Final = 4096
"""Parameters of more are hashed when the call begins, so that they need not be kept."""

_SERVER_INFO: Final = b"serverInfo"
_ABSENT: Final = Raw(b"null")
_COMPLETE: Final = b'"complete"'
_METAS_CACHED: Final = 256
_USUAL_BYTES: Final = 1024
_NO_CAPABILITIES: Final = Raw(b"{}")
_OLD_NOT_FOUND: Final = -32002
"""What older servers call an unknown resource; 2026-07-28 must not be given it ("Error Codes")."""

_tokens: msgspec.json.Decoder[ProgressToken | None] = msgspec.json.Decoder(ProgressToken | None)


class RoutedCall(ABC):
    """One call under way (`mcp.calls.CallReceiver`, `mcp.service.Running`).

    It keeps nothing large of the request: a call may last for an hour. Methods differ in what is
    `mapped` in their results, and in how a failure is `told`.
    """

    __slots__ = (
        "_access",
        "_call",
        "_caller",
        "_capabilities",
        "_kept",
        "_log_level",
        "_method",
        "_parts",
        "_progress_token",
        "_target",
    )

    def __init__(self, parts: Parts, access: Access, caller: Caller, target: Target) -> None:
        self._parts = parts
        self._access = access
        self._caller = caller
        self._target = target
        self._method = ""
        self._kept: Members | bytes = {}  # the parameters as the client sent them, or their hash
        self._capabilities = _NO_CAPABILITIES
        self._log_level: str | None = None
        self._progress_token: ProgressToken | None = None
        self._call = ServerCall(target.server, self, parts.calls, parts.max_result_bytes)

    def start(self, request: Request, params: Members) -> None:
        """Send the request with the parameters that the server understands.

        A device that is away is said to be so at once. Raises JsonRpcError (INVALID_PARAMS) for a
        state that is not ours.
        """
        asked = meta.read(request.params)
        self._method, self._kept = request.method, _kept(request)
        self._log_level, self._progress_token = asked.log_level, asked.progress_token
        self._restrict(params, asked)
        if input_required.STATE in request.params:
            self._go_on(request, params)
        access, target = self._access, self._target
        device = self._parts.devices.get(access.principal, target.device_key)
        if device is None or not device.is_connected:
            self.call_failed(CallFailure(_away(device, target), Outcome.NOT_DELIVERED))
            return
        self._call.send(
            device,
            Request(request.id, request.method, params),
            principal=str(access.principal),
            client=access.asker,
            era=self._caller.era,
        )

    def cancel(self, reason: str) -> None:
        self._call.cancel(reason)

    def hold(self, holding: bool) -> None:
        self._call.hold(holding)

    def client_gone(self) -> None:
        self._call.client_gone()

    def mention(self, uri: str) -> str:
        """Return what clients call a URI in a result of this server."""
        target = self._target
        uris = self._parts.tables.of(self._access.principal).uris
        return uris.mention(target.device_key, target.server, uri)

    # What differs between methods.

    @abstractmethod
    def mapped(self, result: Members) -> bool:
        """Let the URIs of a result be those that clients see; return whether any changed."""

    def told(self, failure: CallFailure, text: str) -> None:
        """Tell the client of a failure; `text` says what it means for it."""
        self._caller.error(JsonRpcError(INTERNAL_ERROR, text, {"outcome": failure.outcome.value}))

    # What the server sends.

    def notification(self, message: Notification) -> None:
        """Pass on what this call asked for, and nothing else that a server may say."""
        if message.method == "notifications/progress":
            wanted = self._progress_token
            if wanted is not None and _token(message) == wanted:
                self._caller.notification(message)
        elif message.method == "notifications/message" and self._log_level is not None:
            self._caller.notification(_signed(message, self._target.server))

    def response(self, message: Response) -> None:
        try:
            if message.result is None:
                raise _error(message)
            result = self._finished(message.result)
        except JsonRpcError as error:
            self._caller.error(error)
        else:
            self._caller.result(result)

    def call_failed(self, failure: CallFailure) -> None:
        self.told(failure, f"{failure.text} {MEANING[failure.outcome]}")

    # Both ways.

    def _restrict(self, params: Members, asked: RequestMeta) -> None:
        """Let the server know only of what can be carried to this client."""
        declared = asked.client_capabilities
        if declared is None:
            return
        self._capabilities = carried = client_capabilities.restricted(declared)
        if carried is not declared:
            about = jsonrpc.with_member(
                jsonrpc.members(params.get(META)), CLIENT_CAPABILITIES, carried
            )
            params[META] = jsonrpc.raw(about)

    def _go_on(self, request: Request, params: Members) -> None:
        """Give the server its own state back, in the place where the request waits."""
        state = input_required.state_of(request.params)
        if state is None:
            del params[input_required.STATE]
            return
        device_key, server, own = self._parts.seals.open_state(self._access, self._digest(), state)
        if (device_key, server) != (self._target.device_key, self._target.server):
            raise JsonRpcError(
                INVALID_PARAMS, "What this request was about has moved: send it anew"
            )
        if own is None:
            del params[input_required.STATE]
        else:
            params[input_required.STATE] = jsonrpc.raw(own)

    def _finished(self, encoded: Raw) -> Raw:
        """Return a result as the client may see it; as it is, if nothing must change."""
        try:
            result = jsonrpc.members(encoded)
        except JsonRpcError:
            raise JsonRpcError(
                INTERNAL_ERROR, f"The result of the server {self._target.server!r} is no object"
            ) from None
        try:
            changed = self.mapped(result)
        except TooManyLinks as error:
            text = f"The server {self._target.server!r} {error}, which cannot be passed on: ask for less"
            raise JsonRpcError(INTERNAL_ERROR, text) from None
        about = result.get(META)
        if about is not None and _SERVER_INFO in (own := bytes(about)):
            replace = _usual_server_info if len(own) <= _USUAL_BYTES else _with_server_info
            result[META] = replace(own, bytes(self._parts.server_info))
            changed = True
        kind = result.get("resultType", _ABSENT)
        if bytes(kind) != _COMPLETE:
            self._unfinished(result, kind)
            changed = True
        return jsonrpc.raw(result) if changed else encoded

    def _unfinished(self, result: Members, kind: Raw) -> None:
        """Let a result that does not say that it is complete be one that a client understands.

        Raises JsonRpcError (INTERNAL_ERROR) for a kind that is not carried, as tasks.
        """
        if bytes(kind) == b"null":
            result["resultType"] = Raw(_COMPLETE)
        elif jsonrpc.text(kind) == INPUT_REQUIRED:
            self._seal(result)
        else:
            text = f"The server {self._target.server!r} answers with a result of another kind than "
            raise JsonRpcError(INTERNAL_ERROR, f"{text}the hub can pass on, perhaps a task")

    def _seal(self, result: Members) -> None:
        """Make the server's question ours: whoever answers it is sent back to the same server."""
        target = self._target
        if self._method not in input_required.METHODS:
            raise JsonRpcError(
                INTERNAL_ERROR,
                f"The server {target.server!r} asks for input, which {self._method} cannot give",
            )
        input_required.asking(result, target.server, self._capabilities)
        own = jsonrpc.text(result.get(input_required.STATE))
        sealed = self._parts.seals.state(
            self._access, self._digest(), target.device_key, target.server, own
        )
        result[input_required.STATE] = jsonrpc.raw(sealed)

    def _digest(self) -> bytes:
        kept = self._kept
        return kept if isinstance(kept, bytes) else input_required.digest(self._method, kept)


def _with_server_info(about: bytes, server_info: bytes) -> Raw:
    """Return a result's `_meta` as ours."""
    members = jsonrpc.members(about)
    if SERVER_INFO in members:
        members[SERVER_INFO] = Raw(server_info)
    return jsonrpc.raw(members)


_usual_server_info = lru_cache(_METAS_CACHED)(_with_server_info)
"""Servers say the same in every result."""


def _kept(request: Request) -> Members | bytes:
    params = request.params
    size_bytes = 0
    for value in params.values():
        size_bytes += memoryview(value).nbytes
    if size_bytes <= MAX_KEPT_PARAMS_BYTES:
        return {name: value.copy() for name, value in params.items()}  # they are views of the body
    return input_required.digest(request.method, params)


def _error(message: Response) -> JsonRpcError:
    error = jsonrpc.error_of(message)
    if error is None:
        return JsonRpcError(INTERNAL_ERROR, "The answer is empty")
    if error.code == _OLD_NOT_FOUND:
        return JsonRpcError(INVALID_PARAMS, error.message, error.data)
    if error.code in SPECIFICATIONS and error.code != MISSING_CLIENT_CAPABILITY:
        return JsonRpcError(INTERNAL_ERROR, error.message, error.data)  # of a request of ours
    return error


def _signed(message: Notification, server: str) -> Notification:
    """Return a log message that says which server it is of."""
    logger = jsonrpc.text(message.params.get("logger"))
    signed = f"{server}/{logger}" if logger else server
    return Notification(message.method, jsonrpc.with_member(message.params, "logger", signed))


def _token(progress: Notification) -> ProgressToken | None:
    try:
        return _tokens.decode(progress.params.get("progressToken", b"null"))
    except msgspec.MsgspecError:
        return None


def _away(device: Device | None, target: Target) -> str:
    if device is None:
        return f"The device of this server {target.server!r} is no longer known."
    if device.is_stopping:
        return f"The device {device.name!r} is going away: its agent is stopping."
    if device.tunnel is not None:
        return REFUSAL
    if device.is_revoked:
        return f"The device {device.name!r} was revoked."
    seen = datetime.fromtimestamp(device.last_seen_s, UTC).isoformat(timespec="seconds")
    return f"The device {device.name!r} is offline; it was last seen at {seen}."
