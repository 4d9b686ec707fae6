"""Listens on a legacy server, which sends its notifications to everybody who is connected.

Each change goes to the listens that opted in; `resources/subscribe` is said once for all listens that
want a resource (2025-11-25, server/resources, "Subscriptions").
"""

from collections import Counter
from collections.abc import Callable

import msgspec

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Members, Notification, Request
from mcptunnel.mcp.server_half.actions import Action, Write
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.listens import ACKNOWLEDGED, KIND_OF, UPDATED, Kind, Listen, Listens
from mcptunnel.mcp.subscriptions import with_parents


class _Feature(msgspec.Struct, frozen=True):
    list_changed: bool | None = msgspec.field(name="listChanged", default=None)


class _Capabilities(msgspec.Struct, frozen=True):
    tools: _Feature | None = None
    prompts: _Feature | None = None
    resources: _Feature | None = None


_capabilities = msgspec.json.Decoder(_Capabilities)


class EmulatedListens:
    """The listens of one conversation with a legacy server."""

    def __init__(
        self,
        listens: Listens,
        info: ServerInfo,
        new_id: Callable[[], int],
        emit: Callable[[Action], None],
    ) -> None:
        self._listens = listens
        self._new_id = new_id
        self._emit = emit
        self._kinds, self._subscribes = honoured(info)
        self._wanted: Counter[str] = Counter()

    def resume(self) -> None:
        """Ask a fresh server for what all listens want; its lists may be others than before."""
        for listen in self._listens:
            is_new = not listen.acknowledged
            self.opened(listen)
            if not is_new:
                for kind in sorted(listen.kinds & self._kinds):
                    self._emit(listen.changed(kind))

    def opened(self, listen: Listen) -> None:
        """Acknowledge what can be had, once, and ask the server for it."""
        if not listen.acknowledged:
            listen.acknowledged = True
            self._acknowledge(listen)
        if self._subscribes:
            for uri in sorted(listen.uris):
                self._wanted[uri] += 1
                if self._wanted[uri] == 1:
                    self._ask("resources/subscribe", uri)

    def closed(self, listen: Listen) -> None:
        """Give up what no other listen wants."""
        if not self._subscribes:
            return
        for uri in sorted(listen.uris):
            self._wanted[uri] -= 1
            if self._wanted[uri] <= 0:
                del self._wanted[uri]
                self._ask("resources/unsubscribe", uri)

    def notified(self, notification: Notification) -> None:
        """Pass a change on to all who want to hear of it."""
        kind = KIND_OF.get(notification.method)
        if kind is not None:
            for listen in self._listens:
                if kind in listen.kinds and kind in self._kinds:
                    self._emit(listen.tagged(notification.method, notification.params))
        elif notification.method == UPDATED and self._wanted:
            self._updated(notification.params)

    def _updated(self, params: Members) -> None:
        """Tell of a resource; who asked for what it is part of hears its URI unless another asked for it.

        The server may tell of it for that other's sake alone.
        """
        uri, *parents = with_parents(jsonrpc.text(params.get("uri")) or "")
        is_asked_for = uri in self._wanted
        for listen in self._listens:
            if uri in listen.uris:
                self._emit(listen.tagged(UPDATED, params))
                continue
            asked = next((parent for parent in parents if parent in listen.uris), None)
            if asked is not None:
                own = {"uri": jsonrpc.raw(asked)} if is_asked_for else params
                self._emit(listen.tagged(UPDATED, own))

    def _acknowledge(self, listen: Listen) -> None:
        taken: dict[str, object] = {
            kind.value: True for kind in Kind if kind in listen.kinds & self._kinds
        }
        if self._subscribes and listen.uris:
            taken["resourceSubscriptions"] = sorted(listen.uris)
        self._emit(listen.tagged(ACKNOWLEDGED, {"notifications": jsonrpc.raw(taken)}))

    def _ask(self, method: str, uri: str) -> None:
        request = Request(self._new_id(), method, {"uri": jsonrpc.raw(uri)})
        self._emit(Write(jsonrpc.encode(request)))


def honoured(info: ServerInfo) -> tuple[frozenset[Kind], bool]:
    """Return of which lists a server tells changes, and whether subscriptions are worth a try.

    That it does not declare `subscribe` says nothing: servers of the Python SDK 1.x never do.
    """
    try:
        found = _capabilities.decode(info.capabilities)
    except (msgspec.MsgspecError, RecursionError):
        return frozenset(), False
    features = zip(Kind, (found.tools, found.prompts, found.resources), strict=True)
    kinds = frozenset(kind for kind, one in features if one is not None and one.list_changed)
    return kinds, found.resources is not None
