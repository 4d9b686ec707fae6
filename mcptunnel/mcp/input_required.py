"""Results that ask the client for something first (2026-07-28, basic/patterns/mrtr).

They are read only as far as needed: what a server asks must be something that the client can be asked,
and a person who is asked must see by whom.
"""

import hashlib
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import client_capabilities, jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, JsonRpcError, Members
from mcptunnel.mcp.meta import META

INPUT_REQUIRED: Final = "input_required"
METHODS: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Only these may be answered so."""

REQUESTS: Final = "inputRequests"
RESPONSES: Final = "inputResponses"
STATE: Final = "requestState"

MAX_REQUESTS: Final = 64
"""What a server may ask at once; who is asked for more will not answer."""

_OF_THE_RETRY: Final = frozenset({META, RESPONSES, STATE})


class _Asked(msgspec.Struct):
    method: str
    params: dict[str, Raw] | None = None


class _Held(msgspec.Struct, array_like=True, frozen=True):
    device_key: str
    server: str
    state: str | None


_requests = msgspec.json.Decoder(dict[str, Raw])
_asked = msgspec.json.Decoder(_Asked)
_held = msgspec.json.Decoder(_Held)


def pack(device_key: str, server: str, state: str | None) -> bytes:
    """Return where an interrupted request waits, and the server's own state (None: it gave none)."""
    return msgspec.json.encode(_Held(device_key, server, state))


def unpack(packed: bytes) -> tuple[str, str, str | None]:
    """Return (device key, server, state) again."""
    held = _held.decode(packed)
    return held.device_key, held.server, held.state


def digest(method: str, params: Members) -> bytes:
    """Return what a retry has in common with the request before it, as a hash of 16 bytes."""
    found = hashlib.blake2b(method.encode(), digest_size=16)
    for name in sorted(params.keys() - _OF_THE_RETRY):
        value = params[name]
        found.update(b"\0%d %d\0" % (len(name.encode()), memoryview(value).nbytes))
        found.update(name.encode())
        found.update(value)
    return found.digest()


def state_of(params: Members) -> str | None:
    """Return the state that a retry brings back; None if there is none.

    Raises JsonRpcError (INVALID_PARAMS) if it is no text.
    """
    encoded = params.get(STATE)
    if encoded is None:
        return None
    state = jsonrpc.text(encoded)
    if state is None:
        raise JsonRpcError(INVALID_PARAMS, "requestState must be a string")
    return state


def asking(result: Members, server: str, capabilities: Raw) -> None:
    """Check what a server asks for, and let every question to a person begin with its name.

    Raises JsonRpcError (INTERNAL_ERROR) if it asks for what this client did not declare, or for too
    much, or its result is malformed, or says nothing at all: the server's fault.
    """
    encoded = result.get(REQUESTS)
    if encoded is None and STATE in result:
        return
    try:
        requests = _requests.decode(encoded or b"{}")
        if not requests and STATE not in result:
            raise JsonRpcError(
                INTERNAL_ERROR, f"The server {server!r} asks for input, but for nothing"
            )
        if len(requests) > MAX_REQUESTS:
            raise JsonRpcError(
                INTERNAL_ERROR,
                f"The server {server!r} asks for more than {MAX_REQUESTS} things at once",
            )
        named = {key: _named(request, server, capabilities) for key, request in requests.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise JsonRpcError(
            INTERNAL_ERROR, f"The server {server!r} asks for input in a malformed way"
        ) from None
    result[REQUESTS] = jsonrpc.raw(named)


def _named(request: Raw, server: str, capabilities: Raw) -> Raw:
    asked = _asked.decode(request)
    if not client_capabilities.may_be_asked(capabilities, asked.method):
        raise JsonRpcError(
            INTERNAL_ERROR,
            f"The server {server!r} asks for {asked.method[:80]!r}, which this client does not offer",
        )
    if asked.method != "elicitation/create" or asked.params is None:
        return request
    message, name = jsonrpc.text(asked.params.get("message")), f"[{server}] "
    if message is None or message.startswith(name):
        return request
    params = jsonrpc.with_member(asked.params, "message", name + message)
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(request), "params", params))
