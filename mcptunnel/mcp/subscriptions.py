"""What a `subscriptions/listen` asks for (2026-07-28, basic/patterns/subscriptions)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members
from mcptunnel.mcp.kinds import Kind

WISHES: Final = "notifications"
UPDATED: Final = "notifications/resources/updated"

CHANGED: Final = {
    Kind.TOOL: "notifications/tools/list_changed",
    Kind.PROMPT: "notifications/prompts/list_changed",
    Kind.RESOURCE: "notifications/resources/list_changed",
}
"""What tells of a change. Templates have none of their own: they change with resources."""

ALIKE: Final = {
    "notifications/tools/list_changed": (Kind.TOOL,),
    "notifications/prompts/list_changed": (Kind.PROMPT,),
    "notifications/resources/list_changed": (Kind.RESOURCE, Kind.TEMPLATE),
}
"""Which lists may be others after such a notification."""

MAX_PREFIXES: Final = 64
"""How many forms of a URI's parents are looked at, the nearest first."""

_MEMBERS: Final = {
    Kind.TOOL: "toolsListChanged",
    Kind.PROMPT: "promptsListChanged",
    Kind.RESOURCE: "resourcesListChanged",
}


class _Wishes(msgspec.Struct, frozen=True):
    tools: bool | None = msgspec.field(name="toolsListChanged", default=None)
    prompts: bool | None = msgspec.field(name="promptsListChanged", default=None)
    resources: bool | None = msgspec.field(name="resourcesListChanged", default=None)
    uris: list[str] | None = msgspec.field(name="resourceSubscriptions", default=None)


_wishes = msgspec.json.Decoder(_Wishes)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What somebody wants to hear of: changes of lists, of the kinds in CHANGED, and of resources."""

    kinds: frozenset[Kind] = frozenset()
    uris: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kinds or self.uris)


def read(params: Members) -> Subscription:
    """Read the params of a listen; a URI that is named twice counts once.

    Raises JsonRpcError (INVALID_PARAMS) if they are malformed.
    """
    try:
        wishes = _wishes.decode(params.get(WISHES, b"null"))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise JsonRpcError(
            INVALID_PARAMS, f"subscriptions/listen needs {WISHES}, an object: {error}"
        ) from None
    flags = ((Kind.TOOL, wishes.tools), (Kind.PROMPT, wishes.prompts))
    wanted = (*flags, (Kind.RESOURCE, wishes.resources))
    return Subscription(
        frozenset(kind for kind, flag in wanted if flag), tuple(dict.fromkeys(wishes.uris or ()))
    )


def wishes(kinds: Iterable[Kind], uris: Iterable[str]) -> Raw:
    """Return the member `notifications` of a listen, or of its acknowledgement."""
    members: dict[str, object] = {_MEMBERS[kind]: True for kind in sorted(kinds)}
    listed = tuple(uris)
    if listed:
        members["resourceSubscriptions"] = listed
    return jsonrpc.raw(members)


def with_parents(uri: str) -> list[str]:
    """Return a URI and those above it, the nearest first.

    An update may be of a part of what was subscribed to (2025-11-25 and later, server/resources).
    """
    found = {uri: None}
    end = len(uri)
    while len(found) < MAX_PREFIXES:
        end = uri.rfind("/", 0, end)
        if end < 0:
            break
        found[uri[: end + 1]] = found[uri[:end]] = None
    return list(found)
