"""What servers can do, and what many of them can do together (2026-07-28, server/discover).

Extensions, experimental features and tasks are left out: what is not carried from end to end must not
be offered (basic/versioning, "Extension Negotiation").
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.kinds import LISTED, Kind

MAX_INSTRUCTIONS_CHARS: Final = 4000
"""Of one server's instructions no more is told."""

MAX_ALL_INSTRUCTIONS_CHARS: Final = 32_000
"""Of all servers' instructions together no more is told."""

_CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Features:
    """What a server can do. `notifies` are the kinds of whose changes it tells.

    The default is what is taken for granted of a server that cannot be asked.
    """

    kinds: frozenset[Kind] = frozenset(Kind)
    notifies: frozenset[Kind] = frozenset()
    subscribe: bool = False
    completions: bool = True
    logging: bool = True
    instructions: str = ""


class _Flags(msgspec.Struct, frozen=True):
    list_changed: bool = msgspec.field(name="listChanged", default=False)
    subscribe: bool = False


class _Capabilities(msgspec.Struct, frozen=True):
    tools: Raw | UnsetType = UNSET
    prompts: Raw | UnsetType = UNSET
    resources: Raw | UnsetType = UNSET
    completions: Raw | UnsetType = UNSET
    logging: Raw | UnsetType = UNSET


class _Discovered(msgspec.Struct, frozen=True):
    capabilities: _Capabilities
    instructions: str | None = None


_discovered = msgspec.json.Decoder(_Discovered)
_flags = msgspec.json.Decoder(_Flags)


def read(result: Raw) -> Features:
    """Read the result of a server's `server/discover`.

    Raises JsonRpcError (INTERNAL_ERROR) if it is no such result.
    """
    try:
        found = _discovered.decode(result)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise JsonRpcError(
            INTERNAL_ERROR, "The server's answer to server/discover is malformed"
        ) from None
    has = found.capabilities
    flags = {kind: _read_flags(getattr(has, listed.capability)) for kind, listed in LISTED.items()}
    resources = flags[Kind.RESOURCE]
    return Features(
        frozenset(kind for kind, flag in flags.items() if flag is not None),
        frozenset(kind for kind, flag in flags.items() if flag is not None and flag.list_changed),
        resources is not None and resources.subscribe,
        has.completions is not UNSET,
        has.logging is not UNSET,
        cut(found.instructions or "", MAX_INSTRUCTIONS_CHARS),
    )


def _read_flags(encoded: Raw | UnsetType) -> _Flags | None:
    """Return the flags of a capability; None if the server has it not."""
    if isinstance(encoded, UnsetType) or bytes(encoded) == b"null":
        return None
    try:
        return _flags.decode(encoded)
    except (msgspec.MsgspecError, RecursionError):
        return _Flags()


def capabilities(every: Iterable[Features]) -> dict[str, Any]:
    """Return the capabilities of all servers as one; tools are always there.

    Changes of lists are told whatever the servers tell: servers themselves come and go.
    """
    features = list(every)
    kinds = frozenset(Kind) & {kind for one in features for kind in one.kinds}
    changes = {"listChanged": True}
    found: dict[str, Any] = {"tools": dict(changes)}
    if Kind.PROMPT in kinds:
        found["prompts"] = dict(changes)
    if Kind.RESOURCE in kinds:
        found["resources"] = dict(changes)
        if any(one.subscribe for one in features):
            found["resources"]["subscribe"] = True
    if any(one.completions for one in features):
        found["completions"] = {}
    if any(one.logging for one in features):
        found["logging"] = {}
    return found


def instructions(own: str, of_servers: Iterable[tuple[str, str]]) -> str:
    """Return our instructions, and below them those of the servers under (heading, text)."""
    told = [own]
    room = MAX_ALL_INSTRUCTIONS_CHARS
    for heading, text in of_servers:
        if text.strip() and room > 0:
            part = f"## {heading}\n\n{cut(text.strip(), room)}"
            room -= len(part)
            told.append(part)
    return "\n\n".join(told)


def cut(text: str, most_chars: int) -> str:
    """Return a text in bounds; what is cut off is seen to be."""
    return text if len(text) <= most_chars else text[: most_chars - 1] + _CUT
