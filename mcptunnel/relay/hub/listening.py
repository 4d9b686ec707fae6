"""`subscriptions/listen` on the hub: all that a client wants to hear, of whatever server.

A listen outlives devices and their tunnels: their coming and going is a change of lists. What many
listens of one user want of one server is asked for once (`server_listen`).
"""

from collections.abc import Container, Iterable
from itertools import islice
from typing import Any, Final

from mcptunnel.mcp import subscriptions
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.service import Caller
from mcptunnel.mcp.subscriptions import ALIKE, CHANGED, Subscription
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.draining import REFUSAL
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.finding import find
from mcptunnel.relay.hub.hearing import Hearing, ServerChanged
from mcptunnel.relay.hub.honouring import Honouring
from mcptunnel.relay.hub.list_changes import ListChanges
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.listeners import MAX_LISTENS, Listeners, Place
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.server_listen import ServerListen
from mcptunnel.relay.remote_server import RemoteServer

PAUSE_S: Final = 0.1
"""Servers are asked anew no sooner after the last time, for all that changed till then."""


class Listening:
    """Answers `subscriptions/listen` (`parts.Method`), and listens to servers for what is wanted of them."""

    def __init__(
        self, parts: Parts, *, offline_grace_s: float, server_changed: ServerChanged
    ) -> None:
        self._parts = parts
        self._reactor: Any = parts.reactor
        self._users: dict[Principal, Listeners] = {}
        self._is_stopped = False
        self._expected = Expected(parts, offline_grace_s)
        self._honouring = Honouring(parts, self._expected)
        self._hearing = Hearing(self._users, parts.tables, server_changed, self._look_again)
        self._list_changes = ListChanges(
            parts.reactor,
            parts.devices,
            parts.listings,
            parts.settling,
            epoch_s=parts.epoch_s,
            offline_grace_s=offline_grace_s,
            tell=self._tell_list_changed,
        )

    def request(self, access: Access, request: Request, caller: Caller) -> Listen:
        """Acknowledge at once, and listen until one side ends it."""
        principal, asked = access.principal, subscriptions.read(request.params)
        if self._is_stopped:
            raise JsonRpcError(INTERNAL_ERROR, REFUSAL)
        user = self._users.get(principal) or Listeners()
        if len(user.listens) >= MAX_LISTENS:
            raise JsonRpcError(
                INTERNAL_ERROR, "You listen too often already: end some listens first"
            )
        places = dict(self._honouring.honoured(principal, user.with_room(asked.uris)))
        listen = Listen(caller, asked.kinds, places, lambda gone: self._left(principal, gone))
        self._users[principal] = user
        user.add(listen)
        listen.acknowledge()
        kinds = {one for kind in asked.kinds for one in ALIKE[CHANGED[kind]]}
        if None in places.values():  # whose they are is seen by the lists
            kinds |= {Kind.RESOURCE, Kind.TEMPLATE}
        catalogue = self._parts.catalogue
        unasked = {kind for kind in kinds if not catalogue.is_wanted(principal, kind)}
        for kind in sorted(kinds):
            catalogue.want(principal, kind)
        self._changed(principal, user, unasked)
        return listen

    def refresh(self, principal: Principal) -> None:
        """Hear that a user's devices, servers or lists may be others now."""
        if principal in self._users:
            self._list_changes.check(principal)
            self._look_again(principal)

    def stop(self) -> None:
        """End all listens in order, and begin none any more."""
        self._is_stopped = True
        for user in tuple(self._users.values()):
            for listen in tuple(user.listens):
                listen.end()
        self._list_changes.stop()

    # Who wants what.

    def _left(self, principal: Principal, listen: Listen) -> None:
        user = self._users[principal]
        user.remove(listen)
        self._changed(principal, user)

    def _changed(
        self, principal: Principal, user: Listeners, unasked: Container[Kind] = frozenset()
    ) -> None:
        """Look after what is wanted now; a user who listens no more is forgotten."""
        self._list_changes.watch(principal, user.kinds, unasked)
        if user.listens:
            self._refresh_soon(principal, user)
            return
        self._users.pop(principal).stop()

    def _look_again(self, principal: Principal) -> None:
        user = self._users.get(principal)
        if user is not None:
            self._refresh_soon(principal, user)

    def _refresh_soon(self, principal: Principal, user: Listeners) -> None:
        if user.finding is not None:
            user.again = True
        elif user.soon is None:
            wait_s = max(0.0, user.refreshed_s + PAUSE_S - self._reactor.seconds())
            user.soon = self._reactor.callLater(wait_s, self._refresh, principal, user)

    def _refresh(self, principal: Principal, user: Listeners) -> None:
        """Find out what is wanted of each server, in as many turns as it takes, and listen to it."""
        user.refreshed_s = self._reactor.seconds()
        user.finding = find(principal, user, self._honouring)
        self._go_on(principal, user)

    def _go_on(self, principal: Principal, user: Listeners) -> None:
        user.soon, goes_on = None, False
        try:
            goes_on = any(True for _turn in islice(user.finding or (), 1))
        finally:
            if not goes_on:
                user.finding = None
        if not user.listens:
            return  # the last one left when it was told something
        if goes_on:
            user.soon = self._reactor.callLater(0, self._go_on, principal, user)
            return
        self._listen_to_servers(principal, user)
        if user.again:
            user.again = False
            self._refresh_soon(principal, user)

    def _listen_to_servers(self, principal: Principal, user: Listeners) -> None:
        """Listen to each server for what is wanted of it."""
        self._expect(principal, user)
        kinds, there = user.kinds, set()
        for device in self._parts.devices.of(principal):
            for name, server in device.servers.items():
                place = (device.installation_id, name)
                wanted = _wanted(server, kinds, user.at(place))
                known = user.servers.get(place)
                if not device.is_connected:
                    continue
                if not wanted or (known is None and server.info.state != "ready"):
                    continue
                there.add(place)
                if known is None:
                    info = self._parts.server_info
                    known = ServerListen(self._reactor, self._parts.calls, info, self._hearing)
                    user.servers[place] = known
                known.want(device, server, wanted)
        for place in user.servers.keys() - there:
            if self._is_away(principal, place):
                user.servers[place].lose()
            else:
                user.servers.pop(place).stop()

    def _expect(self, principal: Principal, user: Listeners) -> None:
        """Look again when more is known by time alone."""
        if user.doubt is not None:
            user.doubt.cancel()
            user.doubt = None
        wait_s = self._expected.look_again_s(principal)
        if wait_s is not None:
            user.doubt = self._reactor.callLater(wait_s, self._refresh_doubt, principal, user)

    def _refresh_doubt(self, principal: Principal, user: Listeners) -> None:
        user.doubt = None
        self._refresh_soon(principal, user)

    def _is_away(self, principal: Principal, place: Place) -> bool:
        """Whether a device is away, and may come back with the server."""
        device = self._parts.devices.get(principal, place[0])
        return device is not None and not device.is_connected and place[1] in device.servers

    def _tell_list_changed(self, principal: Principal, kind: Kind) -> None:
        user = self._users.get(principal)
        for listen in () if user is None else tuple(user.listens):
            if kind in listen.kinds:
                listen.list_changed(kind)


def _wanted(server: RemoteServer, kinds: frozenset[Kind], uris: Iterable[str]) -> Subscription:
    """Return what can be heard from a server, of what is wanted."""
    features = server.features
    if features is None:
        return Subscription()
    told = tuple(uri for uri in sorted(uris) if server.may_tell(uri))
    return Subscription(kinds & features.notifies, told)
