"""Listens on a legacy server, which sends its notifications to everybody who is connected.

Each change goes to the listens that opted in; `resources/subscribe` is said once for all listens that
want a resource (2025-11-25, server/resources, "Subscriptions").

A server that declares `subscribe` is believed, and its answers do not matter. One that has resources,
but does not declare it, is tried: what it refuses is not acknowledged, and ends a listen that is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Members, Notification, Request, Response
from mcptunnel.mcp.server_half.actions import Action, Deliver, Write
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.listens import ACKNOWLEDGED, KIND_OF, UPDATED, Kind, Listen, Listens
from mcptunnel.mcp.server_half.tried import ANSWER_S, TriedSubscriptions
from mcptunnel.mcp.subscriptions import with_parents

ACKNOWLEDGE_S: Final = ANSWER_S
"""So long an acknowledgement waits for what the server says; then what is not answered is honoured."""


class _Feature(msgspec.Struct, frozen=True):
    list_changed: bool | None = msgspec.field(name="listChanged", default=None)
    subscribe: bool | None = None


class _Capabilities(msgspec.Struct, frozen=True):
    tools: _Feature | None = None
    prompts: _Feature | None = None
    resources: _Feature | None = None


_capabilities = msgspec.json.Decoder(_Capabilities)


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells: changes of lists, of resources; `is_sure` of what it declares."""

    kinds: frozenset[Kind] = frozenset()
    resources: bool = False
    is_sure: bool = True


@dataclass(slots=True)
class _Held:
    """What waits for an acknowledgement, by method and URI: of several alike the last one counts."""

    since_s: float | None = None  # from the first tick
    news: dict[tuple[str, str], Deliver] = field(default_factory=dict)


class EmulatedListens:
    """The listens of one conversation with a legacy server.

    `drop` tells that nobody waits any more for the answer to a request of ours.
    """

    def __init__(
        self,
        listens: Listens,
        info: ServerInfo,
        new_id: Callable[[], int],
        emit: Callable[[Action], None],
        drop: Callable[[int], None],
    ) -> None:
        self._listens = listens
        self._new_id = new_id
        self._emit = emit
        told = told_by(info)
        self._kinds, self._subscribes = told.kinds, told.resources
        self._tried = None if told.is_sure else TriedSubscriptions(self._try, drop)
        self._wanted: Counter[str] = Counter()
        self._held: dict[int, _Held] = {}

    def resume(self) -> None:
        """Ask a fresh server for what all listens want; its lists may be others than before."""
        for listen in self._listens:
            is_new = not listen.acknowledged
            self.opened(listen)
            if not is_new:
                for kind in sorted(listen.kinds & self._kinds):
                    self._emit(listen.changed(kind))

    def opened(self, listen: Listen) -> None:
        """Ask the server for what can be had; acknowledge that, once, as soon as it is known."""
        tried = self._tried
        if tried is not None and not listen.acknowledged:
            listen.uris = frozenset(uri for uri in listen.uris if uri not in tried.refused)
        if self._subscribes:
            for uri in sorted(listen.uris):
                self._wanted[uri] += 1
                if self._wanted[uri] == 1:
                    self._subscribe(uri)
        if not listen.acknowledged:
            self._held[listen.key] = _Held()
            self._acknowledge_known(listen)

    def closed(self, listen: Listen) -> None:
        """Give up what no other listen wants."""
        self._held.pop(listen.key, None)
        if not self._subscribes:
            return
        for uri in sorted(listen.uris):
            self._wanted[uri] -= 1
            if self._wanted[uri] <= 0:
                del self._wanted[uri]
                if self._tried is None or self._tried.unwant(uri):
                    self._ask("resources/unsubscribe", uri)

    def tick(self, now_s: float) -> None:
        """Let time pass: nobody waits for a server that does not answer; about once a second."""
        if self._tried is None:
            return
        self._tried.tick(now_s)
        for listen in self._listens:
            held = self._held.get(listen.key)
            if held is None:
                continue
            if held.since_s is None:
                held.since_s = now_s
            elif now_s - held.since_s >= ACKNOWLEDGE_S:
                self._acknowledge(listen)

    def retire(self) -> None:
        """Ask and acknowledge no more: another conversation with the server does."""
        self._tried = None
        self._held.clear()

    def answered(self, response: Response) -> bool:
        """Take the answer to an attempt to subscribe; False if it is to something else."""
        tried = self._tried
        uri = None if tried is None else tried.answered(response.id)
        if tried is None or uri is None:
            return False
        if jsonrpc.error_of(response) is not None:
            tried.refused.add(uri)
            self._refused(uri)
        for listen in self._listens:
            if listen.key in self._held:
                self._acknowledge_known(listen)
        return True

    def notified(self, notification: Notification) -> None:
        """Pass a change on to all who want to hear of it."""
        kind = KIND_OF.get(notification.method)
        if kind is not None:
            if kind is Kind.RESOURCES and self._tried is not None:
                self._tried.refused.clear()
            for listen in self._listens:
                if kind in listen.kinds and kind in self._kinds:
                    self._tell(listen, notification.method, notification.params)
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
                self._tell(listen, UPDATED, params, uri)
                continue
            asked = next((parent for parent in parents if parent in listen.uris), None)
            if asked is not None:
                own = {"uri": jsonrpc.raw(asked)} if is_asked_for else params
                self._tell(listen, UPDATED, own, asked)

    def _tell(self, listen: Listen, method: str, params: Members, uri: str = "") -> None:
        """Tell a listener of a list, or of what it calls `uri`; nothing before the acknowledgement."""
        news, held = listen.tagged(method, params), self._held.get(listen.key)
        if held is not None:
            held.news[method, uri] = news
        elif listen.acknowledged:
            self._emit(news)

    # Subscriptions.

    def _subscribe(self, uri: str) -> None:
        if self._tried is None:
            self._ask("resources/subscribe", uri)
        else:
            self._tried.want(uri)

    def _try(self, uri: str) -> int:
        """Subscribe to a URI where the answer matters; return the request's id."""
        own = self._new_id()
        request = Request(own, "resources/subscribe", {"uri": jsonrpc.raw(uri)})
        self._emit(Write(jsonrpc.encode(request), own))
        return own

    def _refused(self, uri: str) -> None:
        """Honour a URI no more; a listen that was told otherwise ends, and the next one is told."""
        self._wanted.pop(uri, None)
        over: list[Listen] = []
        for listen in self._listens:
            if uri in listen.uris:
                listen.uris -= {uri}
                if listen.acknowledged:
                    over.append(listen)
        for listen in over:
            self._listens.pop(listen.key)
            self.closed(listen)
            self._emit(listen.end())

    def _acknowledge_known(self, listen: Listen) -> None:
        """Acknowledge a listen if the server has answered to all of it."""
        tried = self._tried
        if tried is None or not any(map(tried.is_open, listen.uris)):
            self._acknowledge(listen)

    def _acknowledge(self, listen: Listen) -> None:
        listen.acknowledged = True
        taken: dict[str, object] = {
            kind.value: True for kind in Kind if kind in listen.kinds & self._kinds
        }
        if self._subscribes and listen.uris:
            taken["resourceSubscriptions"] = sorted(listen.uris)
        self._emit(listen.tagged(ACKNOWLEDGED, {"notifications": jsonrpc.raw(taken)}))
        held = self._held.pop(listen.key, None)
        for (_method, uri), news in () if held is None else held.news.items():
            if not uri or uri in listen.uris:
                self._emit(news)

    def _ask(self, method: str, uri: str) -> None:
        request = Request(self._new_id(), method, {"uri": jsonrpc.raw(uri)})
        self._emit(Write(jsonrpc.encode(request)))


def told_by(info: ServerInfo) -> Told:
    """Return what a server tells, as far as can be known by what it declares.

    That it does not declare `subscribe` says nothing: servers of the Python SDK 1.x never do.
    """
    try:
        found = _capabilities.decode(info.capabilities)
    except (msgspec.MsgspecError, RecursionError):
        return Told()
    resources = found.resources
    features = zip(Kind, (found.tools, found.prompts, resources), strict=True)
    kinds = frozenset(kind for kind, one in features if one is not None and one.list_changed)
    return Told(kinds, resources is not None, resources is None or bool(resources.subscribe))
