"""What every modern request says about itself in `params._meta` (2026-07-28, basic/index, "_meta").

Keys under `io.modelcontextprotocol/` belong to one hop: they are read, taken away and written anew.
All other keys (trace context, vendors') pass on as they are.
"""

from typing import Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members
from mcptunnel.mcp.versions import LATEST_MODERN

META: Final = "_meta"
CORE_PREFIX: Final = "io.modelcontextprotocol/"
"""Keys that start so are the protocol's own."""

PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
PROGRESS_TOKEN: Final = "progressToken"  # noqa: S105 - it correlates, it opens nothing
SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"

OUTCOME: Final = "mcptunnel/outcome"
"""Our own key: whether a failed call may have run, as `model.Outcome`."""

ProgressToken: TypeAlias = str | int

LogLevel: TypeAlias = Literal[
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"
]

LOG_LEVELS: Final[tuple[LogLevel, ...]] = get_args(LogLevel)
"""From the least urgent to the most (RFC 5424)."""


class RequestMeta(msgspec.Struct, frozen=True):
    """The members of a request's `_meta` that we understand; None is what it did not say.

    `protocol_version` makes a request modern. `client_info` is unverified: for display only.
    """

    protocol_version: str | None = None
    client_capabilities: Raw | None = None
    client_info: Raw | None = None
    log_level: LogLevel | None = None
    progress_token: ProgressToken | None = None


class _Known(msgspec.Struct, frozen=True):
    protocol_version: str | None = msgspec.field(name=PROTOCOL_VERSION, default=None)
    client_capabilities: Raw | UnsetType = msgspec.field(name=CLIENT_CAPABILITIES, default=UNSET)
    client_info: Raw | UnsetType = msgspec.field(name=CLIENT_INFO, default=UNSET)
    log_level: LogLevel | None = msgspec.field(name=LOG_LEVEL, default=None)
    progress_token: str | int | None = msgspec.field(name=PROGRESS_TOKEN, default=None)


_decoder = msgspec.json.Decoder(_Known)
_NOTHING: Final = RequestMeta()
_LATEST: Final = jsonrpc.raw(LATEST_MODERN)
_NO_CAPABILITIES: Final = Raw(b"{}")


def read(params: Members) -> RequestMeta:
    """Read `_meta` of a request's or notification's params; null counts as absent.

    Raises JsonRpcError (INVALID_PARAMS) if `_meta` or one of its known members has a wrong type.
    """
    encoded = params.get(META)
    if encoded is None or bytes(encoded) == b"null":
        return _NOTHING
    try:
        known = _decoder.decode(encoded)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise JsonRpcError(INVALID_PARAMS, f"Invalid _meta: {error}") from None
    return RequestMeta(
        known.protocol_version,
        _object(known.client_capabilities, CLIENT_CAPABILITIES),
        _object(known.client_info, CLIENT_INFO),
        known.log_level,
        known.progress_token,
    )


def _object(value: Raw | UnsetType, key: str) -> Raw | None:
    if value is UNSET:
        return None
    encoded = bytes(value)
    if encoded[:1] == b"{":
        return value
    if encoded == b"null":
        return None
    raise JsonRpcError(INVALID_PARAMS, f"Invalid _meta: {key} must be an object")


def modern_meta(
    *,
    client_info: Raw | None = None,
    client_capabilities: Raw = _NO_CAPABILITIES,
    version: str = LATEST_MODERN,
    log_level: LogLevel | None = None,
    progress_token: ProgressToken | None = None,
) -> Members:
    """Return the members of `_meta` for a modern request that we send."""
    members: Members = {
        PROTOCOL_VERSION: _LATEST if version == LATEST_MODERN else jsonrpc.raw(version),
        CLIENT_CAPABILITIES: client_capabilities,
    }
    if client_info is not None:
        members[CLIENT_INFO] = client_info
    if log_level is not None:
        members[LOG_LEVEL] = jsonrpc.raw(log_level)
    if progress_token is not None:
        members[PROGRESS_TOKEN] = jsonrpc.raw(progress_token)
    return members
