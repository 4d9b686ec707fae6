"""The listens on one local server: who wants to hear of which changes.

They outlive the server's processes and sessions; how a server is asked for what they want is in
`emulated_listens` and `passed_listens` (2026-07-28, basic/patterns/subscriptions).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    JsonRpcError,
    Members,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.service import NOBODY, Asker

LISTEN: Final = "subscriptions/listen"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
UPDATED: Final = "notifications/resources/updated"

MAX_LISTENS: Final = 512
"""On one server; the hub, which listens for all of a user's clients, has its own beside them."""
MAX_LISTENS_OF_CLIENT: Final = 128
"""All sessions of one client together."""
MAX_LISTENS_OF_ASKER: Final = 64
MAX_URIS: Final = 1024
"""Resources of one listen."""

OWN_KEY: Final = -1
"""The key of the listen of the agent itself, which wants to hear when lists have changed."""


class Kind(StrEnum):
    """The changes that can be opted into, as their members are called."""

    TOOLS = "toolsListChanged"
    PROMPTS = "promptsListChanged"
    RESOURCES = "resourcesListChanged"


METHOD_OF: Final[Mapping[Kind, str]] = {
    Kind.TOOLS: "notifications/tools/list_changed",
    Kind.PROMPTS: "notifications/prompts/list_changed",
    Kind.RESOURCES: "notifications/resources/list_changed",
}
KIND_OF: Final[Mapping[str, Kind]] = {method: kind for kind, method in METHOD_OF.items()}


class _Wanted(msgspec.Struct, frozen=True):
    tools: bool | None = msgspec.field(name=Kind.TOOLS.value, default=None)
    prompts: bool | None = msgspec.field(name=Kind.PROMPTS.value, default=None)
    resources: bool | None = msgspec.field(name=Kind.RESOURCES.value, default=None)
    uris: list[str] | None = msgspec.field(name="resourceSubscriptions", default=None)


_wanted = msgspec.json.Decoder(_Wanted)


@dataclass(slots=True)
class Listen:
    """One listen. `own` is our id of it at a modern server, None while it is not asked for."""

    key: int
    request_id: RequestId
    params: Members
    asker: Asker
    kinds: frozenset[Kind]
    uris: frozenset[str]
    acknowledged: bool = False
    own: int | None = None

    def tagged(self, method: str, params: Members) -> Deliver:
        """Return a notification for the listener, with its own id (basic/patterns/subscriptions)."""
        try:
            about = jsonrpc.members(params.get(meta.META))
        except JsonRpcError:
            about = {}
        about[meta.SUBSCRIPTION_ID] = jsonrpc.raw(self.request_id)
        tagged = jsonrpc.with_member(params, meta.META, about)
        return Deliver(self.key, Notification(method, tagged))

    def changed(self, kind: Kind) -> Deliver:
        """Return the notification that a list has changed."""
        return self.tagged(METHOD_OF[kind], {})

    def end(self) -> Deliver:
        """Return the result that ends the listen in order."""
        about = {meta.SUBSCRIPTION_ID: self.request_id}
        result = jsonrpc.raw({"resultType": "complete", meta.META: about})
        return Deliver(self.key, Response(self.request_id, result))


class Listens:
    """The listens on one server, by caller's key; bounded, in all, of one client and of one asker."""

    def __init__(self) -> None:
        self._listens: dict[int, Listen] = {}

    def __len__(self) -> int:
        return len(self._listens)

    def __iter__(self) -> Iterator[Listen]:
        return iter(list(self._listens.values()))

    def __contains__(self, key: int) -> bool:
        return key in self._listens

    def add(self, key: int, request: Request, asker: Asker = NOBODY) -> Listen:
        """Read and keep a listen. Raises JsonRpcError: it is malformed, or there are too many."""
        try:
            wanted = _wanted.decode(request.params.get("notifications", b"{}"))
        except (msgspec.MsgspecError, RecursionError) as error:
            raise JsonRpcError(INVALID_PARAMS, f"Invalid notifications: {error}") from None
        uris = frozenset(wanted.uris or ())
        if len(uris) > MAX_URIS:
            raise JsonRpcError(INVALID_PARAMS, f"More than {MAX_URIS} resourceSubscriptions")
        if key != OWN_KEY and self._is_full(asker):
            raise JsonRpcError(INTERNAL_ERROR, "The server has too many listens already")
        flags = (wanted.tools, wanted.prompts, wanted.resources)
        kinds = frozenset(kind for kind, flag in zip(Kind, flags, strict=True) if flag)
        listen = Listen(key, request.id, request.params, asker, kinds, uris)
        self._listens[key] = listen
        return listen

    def _is_full(self, asker: Asker) -> bool:
        """Whether there are too many listens for one more of this asker."""
        askers = [listen.asker for listen in self._listens.values()]
        if askers.count(asker) >= MAX_LISTENS_OF_ASKER:
            return True
        if not asker.client:
            return False
        client = _client(asker)
        if sum(_client(other) == client for other in askers) >= MAX_LISTENS_OF_CLIENT:
            return True
        return sum(bool(other.client) for other in askers) >= MAX_LISTENS

    def pop(self, key: int) -> Listen | None:
        """Take a listen out."""
        return self._listens.pop(key, None)

    def end_all(self) -> list[Deliver]:
        """Take all out; return their results."""
        ended = [listen.end() for listen in self._listens.values() if listen.key != OWN_KEY]
        self._listens.clear()
        return ended


def _client(asker: Asker) -> tuple[str, str]:
    """Return whose an asker is: sessions of one client count as askers, and have its name first."""
    return asker.principal, asker.client.partition(" ")[0]


def own_request(about: Members) -> Request:
    """Return the listen with which the agent follows a modern server's lists."""
    wanted = dict.fromkeys((kind.value for kind in Kind), True)
    params = {"notifications": jsonrpc.raw(wanted), meta.META: jsonrpc.raw(about)}
    return Request(0, LISTEN, params)
