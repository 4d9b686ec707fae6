"""How we learn which era a local server speaks, whatever the transport.

`server/discover` is asked first; a server that does not answer it as a modern one is greeted with
`initialize` (2026-07-28, basic/versioning, "Backward Compatibility").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import client_capabilities, jsonrpc, meta
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, RequestId, Response
from mcptunnel.mcp.versions import LATEST_LEGACY, LEGACY_VERSIONS, MODERN_VERSIONS, Era

DISCOVER: Final = "server/discover"
INITIALIZE: Final = "initialize"
INITIALIZED: Final = jsonrpc.encode(Notification("notifications/initialized"))


class Offer(StrEnum):
    """How much we offer a legacy server: what it may ask clients through us, and pages of apps.

    Some servers refuse members of capabilities that they do not know: the Java SDK up to 0.17 those
    of `elicitation`, up to 0.7 `elicitation` itself.
    """

    FULL = "full"
    BARE = "bare"
    NONE = "none"


CAPABILITIES: Final[Mapping[Offer, Raw]] = {
    Offer.FULL: client_capabilities.ALL,
    Offer.BARE: Raw(b'{"elicitation":{},"sampling":{},"roots":{}}'),
    Offer.NONE: Raw(b"{}"),
}
_LESSER: Final = {Offer.FULL: Offer.BARE, Offer.BARE: Offer.NONE}

# What servers say that could not read the offer; other errors would be the same with any offer.
_UNREADABLE: Final = frozenset(
    {jsonrpc.PARSE_ERROR, jsonrpc.INVALID_REQUEST, jsonrpc.INVALID_PARAMS}
)
_UNREADABLE_WORDS: Final = re.compile(
    r"elicitation|sampling|roots|extension|capabilit|unrecogni[sz]ed|unknown (field|propert)"
    r"|deserial|pars(e|ing)|jackson",
    re.IGNORECASE,
)
# A server that names its versions in an error tells nothing else. Asking it for tools that it does
# not have costs one error; not asking would lose those that it has.
_ASSUMED_CAPABILITIES: Final = Raw(b'{"tools":{}}')
_SHOWN_CHARACTERS: Final = 200


class HandshakeError(McpTunnelError):
    """A local server that we cannot agree with.

    `code` and `said` are those of its JSON-RPC error, if any.
    """

    def __init__(self, message: str, code: int | None = None, said: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a local server said about itself.

    `capabilities` and `server_info` (an Implementation) are encoded objects in its own era's shape.
    """

    era: Era
    version: str
    capabilities: Raw
    server_info: Raw | None = None
    instructions: str | None = None


class _Discovered(msgspec.Struct, frozen=True):
    supported_versions: list[str] = msgspec.field(name="supportedVersions")
    capabilities: dict[str, Raw] | None = None
    instructions: str | None = None
    meta: dict[str, Raw] | None = msgspec.field(name="_meta", default=None)


class _Initialized(msgspec.Struct, frozen=True):
    protocol_version: str = msgspec.field(name="protocolVersion")
    capabilities: dict[str, Raw] | None = None
    instructions: str | None = None
    server_info: dict[str, Raw] | None = msgspec.field(name="serverInfo", default=None)


class _Refusal(msgspec.Struct, frozen=True):
    supported: list[str]


_discovered = msgspec.json.Decoder(_Discovered)
_initialized = msgspec.json.Decoder(_Initialized)


def discover_request(request_id: RequestId, client_info: Raw) -> Request:
    """Return the probe: `server/discover` in our latest modern version."""
    about = jsonrpc.raw(meta.modern_meta(client_info=client_info))
    return Request(request_id, DISCOVER, {meta.META: about})


def initialize_request(
    request_id: RequestId, client_info: Raw, offer: Offer = Offer.FULL
) -> Request:
    """Return `initialize` in our latest legacy version, with what is offered as capabilities."""
    return Request(
        request_id,
        INITIALIZE,
        {
            "protocolVersion": jsonrpc.raw(LATEST_LEGACY),
            "capabilities": CAPABILITIES[offer],
            "clientInfo": client_info,
        },
    )


def read_discover(response: Response) -> ServerInfo | None:
    """Return what a modern server said to the probe; None if the answer does not show a modern one.

    An error that lists a version of ours shows one too (2026-07-28, basic/transports/stdio).
    """
    if response.result is None:
        return named_in_error(response)
    try:
        found = _discovered.decode(response.result)
    except (msgspec.MsgspecError, RecursionError):
        return None
    version = _latest_modern(found.supported_versions)
    if version is None:
        return None
    return ServerInfo(
        Era.MODERN,
        version,
        jsonrpc.raw(found.capabilities or {}),
        _object((found.meta or {}).get(meta.SERVER_INFO)),
        found.instructions,
    )


def named_in_error(response: Response) -> ServerInfo | None:
    """Return the modern server whose error, to any request, lists a modern version of ours."""
    error = jsonrpc.error_of(response)
    if error is None or error.code != jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
        return None
    version = _latest_modern(versions_in(error))
    return None if version is None else assumed(version)


def assumed(version: str) -> ServerInfo:
    """Return what we take for granted of a modern server that told only its version."""
    return ServerInfo(Era.MODERN, version, _ASSUMED_CAPABILITIES)


def versions_in(error: JsonRpcError) -> list[str]:
    """Return `data.supported` of an error -32022; [] if there is no such list."""
    said = jsonrpc.data_as(error, _Refusal)
    return [] if said is None else said.supported


def read_initialize(response: Response) -> ServerInfo:
    """Return what a legacy server said to `initialize`.

    Raises HandshakeError if it refused, answered nonsense, or chose a version that is not legacy.
    """
    error = jsonrpc.error_of(response)
    if error is not None:
        said = shown(error.message)
        text = f"The server refused initialize: {said} ({error.code})"
        raise HandshakeError(text, error.code, said)
    try:
        found = _initialized.decode(response.result or b"")
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise HandshakeError(f"The server's answer to initialize is invalid: {problem}") from None
    if found.protocol_version not in LEGACY_VERSIONS:
        chosen = shown(found.protocol_version)
        raise HandshakeError(f"The server speaks MCP version {chosen}, which is not known here")
    return ServerInfo(
        Era.LEGACY,
        found.protocol_version,
        jsonrpc.raw(found.capabilities or {}),
        jsonrpc.raw(found.server_info) if found.server_info else None,
        found.instructions,
    )


def lesser_offer(offer: Offer, error: HandshakeError) -> Offer | None:
    """Return what to offer a server that refused an offer so; None if that was not the reason."""
    if error.code in _UNREADABLE or (error.code and _UNREADABLE_WORDS.search(error.said)):
        return _LESSER.get(offer)
    return None


def next_offer(offer: Offer) -> Offer:
    """Return what to offer a fresh process after one that died of `initialize`, perhaps of this."""
    return _LESSER.get(offer, Offer.FULL)


def shown(text: str) -> str:
    """Return text of a server's making, short enough for a sentence of ours."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _object(value: Raw | None) -> Raw | None:
    return value if value is not None and bytes(value).startswith(b"{") else None


def _latest_modern(versions: list[str]) -> str | None:
    return next((ours for ours in reversed(MODERN_VERSIONS) if ours in versions), None)
