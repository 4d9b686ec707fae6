"""What a client can do, restricted to what can be carried to it (2026-07-28, client/*).

Everything else that a client declares stays with us: a server would take an extension for granted
that ends here. MCP Apps do not: they are tools, results and resources, whose URIs are mapped.
"""

from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

APPS: Final = "io.modelcontextprotocol/ui"
"""The extension of MCP Apps; a server may offer the tools that have a page only to who declares it."""

ALL: Final = Raw(
    b'{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{},'
    b'"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}'
)
"""All that can be carried: what a server is told when no single client asks."""

_NOTHING: Final = b"{}"
_CACHED: Final = 256
_MAX_CACHED_BYTES: Final = 1024


class _Elicitation(msgspec.Struct, omit_defaults=True):
    form: dict[str, Raw] | UnsetType = UNSET
    url: dict[str, Raw] | UnsetType = UNSET


class _Sampling(msgspec.Struct, omit_defaults=True):
    tools: dict[str, Raw] | UnsetType = UNSET


class _Roots(msgspec.Struct):
    """Without flags: a list of roots that changes cannot be told of."""


class _Extensions(msgspec.Struct, omit_defaults=True):
    apps: dict[str, Raw] | UnsetType = msgspec.field(name=APPS, default=UNSET)


class _Carried(msgspec.Struct, omit_defaults=True):
    elicitation: _Elicitation | UnsetType = UNSET
    sampling: _Sampling | UnsetType = UNSET
    roots: _Roots | UnsetType = UNSET
    extensions: _Extensions | UnsetType = UNSET


_carried = msgspec.json.Decoder(_Carried)
_encoder = msgspec.json.Encoder()

_ASKS: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


def restricted(declared: Raw) -> Raw:
    """Return what of a client's capabilities servers are told; nothing if they are malformed."""
    encoded = bytes(declared)
    if encoded == _NOTHING:
        return declared
    if len(encoded) > _MAX_CACHED_BYTES:
        return Raw(_restricted.__wrapped__(encoded))
    return Raw(_restricted(encoded))


@lru_cache(_CACHED)
def _restricted(encoded: bytes) -> bytes:
    try:
        carried = _carried.decode(encoded)
        if carried.extensions == _Extensions():
            carried.extensions = UNSET
        return _encoder.encode(carried)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _NOTHING


def may_be_asked(capabilities: Raw, method: str) -> bool:
    """Whether a client with these (restricted) capabilities may be asked with a method."""
    member = _ASKS.get(method)
    return member is not None and getattr(_carried.decode(capabilities), member) is not UNSET
