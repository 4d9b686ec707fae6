"""`subscriptions/listen` on the hub: all that a client wants to hear, of whatever server.

A listen outlives devices and their tunnels: their coming and going is a change of lists. What many
listens of one user want of one server is asked for once (`server_listen`).
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp import jsonrpc, subscriptions
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError, Members, Notification, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.meta import META, SUBSCRIPTION_ID
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller
from mcptunnel.mcp.subscriptions import ALIKE, CHANGED, Subscription
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.draining import REFUSAL
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.honouring import Honouring
from mcptunnel.relay.hub.list_changes import ListChanges
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.server_listen import ServerListen
from mcptunnel.relay.remote_server import RemoteServer

MAX_LISTENS: Final = 2000
"""Listens of one user."""

MAX_URIS: Final = 500
"""URIs that one listen may name; others are not honoured."""

MAX_USER_URIS: Final = 10_000
MAX_USER_CHARS: Final = 1024 * 1024
"""URIs of all listens of one user, and their characters together."""

STEPS_PER_TURN: Final = 500
"""How much is looked up in one turn of the reactor (`owners.Owners.steps`): about a millisecond."""

_STEPS_TO_TELL: Final = 20
"""What it takes to tell a client of one resource."""

PAUSE_S: Final = 0.1
"""Servers are asked anew no sooner after the last time, for all that changed till then."""

_Place: TypeAlias = tuple[str, str]
"""(device_key, server)"""

_ServerChanged: TypeAlias = Callable[[Device, RemoteServer, Kind], None]


@dataclass(slots=True)
class _User:
    """What one user listens to: `heard` are the URIs of each place, and who calls them how.

    `vain` are the URIs that were honoured, and that nobody tells of. `finding` makes both anew, a
    part in each turn; `again` says that meanwhile something changed.
    """

    listens: dict[Listen, None] = field(default_factory=dict)
    servers: dict[_Place, ServerListen] = field(default_factory=dict)
    heard: dict[_Place, dict[str, list[tuple[Listen, str]]]] = field(default_factory=dict)
    vain: frozenset[tuple[Listen, str]] = frozenset()
    uri_count: int = 0
    char_count: int = 0
    soon: IDelayedCall | None = None
    doubt: IDelayedCall | None = None  # when more is known by time alone
    refreshed_s: float = float("-inf")
    finding: Iterator[None] | None = None
    again: bool = False

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(kind for listen in self.listens for kind in listen.kinds)


class Listening:
    """Answers `subscriptions/listen` (`parts.Method`); hears of servers (`server_listen.Ears`).

    `server_changed` is told which list of a server must be asked for again.
    """

    def __init__(
        self, parts: Parts, *, offline_grace_s: float, server_changed: _ServerChanged
    ) -> None:
        self._parts = parts
        self._reactor: Any = parts.reactor
        self._server_changed = server_changed
        self._users: dict[Principal, _User] = {}
        self._is_stopped = False
        self._expected = Expected(parts, offline_grace_s)
        self._honouring = Honouring(parts, self._expected)
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
        user = self._users.get(principal) or _User()
        if len(user.listens) >= MAX_LISTENS:
            raise JsonRpcError(
                INTERNAL_ERROR, "You listen too often already: end some listens first"
            )
        places = dict(self._honoured(principal, user, asked.uris))
        listen = Listen(caller, asked.kinds, places, lambda gone: self._left(principal, gone))
        self._users[principal] = user
        user.listens[listen] = None
        user.uri_count += len(places)
        user.char_count += sum(map(len, places))
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
        user = self._users.get(principal)
        if user is not None:
            self._list_changes.check(principal)
            self._refresh_soon(principal, user)

    def stop(self) -> None:
        """End all listens in order, and begin none any more."""
        self._is_stopped = True
        for user in tuple(self._users.values()):
            for listen in tuple(user.listens):
                listen.end()
        self._list_changes.stop()

    # What is honoured.

    def _honoured(
        self, principal: Principal, user: _User, uris: Iterable[str]
    ) -> Iterable[tuple[str, Target | None]]:
        """Return the URIs that can be heard of, as far as can be known now, and their places.

        What cannot be looked up in this turn is honoured like what is not known yet.
        """
        count, chars = user.uri_count, user.char_count
        is_known = self._expected.knows_all(principal)
        owners = self._owners(principal)
        for uri in tuple(uris)[:MAX_URIS]:
            count, chars = count + 1, chars + len(uri)
            if count > MAX_USER_URIS or chars > MAX_USER_CHARS:
                return
            may_look = owners is not None and owners.steps < STEPS_PER_TURN
            target = self._honouring.place(principal, uri, owners if may_look else None)
            if target is None:
                if not (is_known and may_look):
                    yield uri, None
            elif self._honouring.can_tell(principal, target):
                yield uri, target

    # Who wants what.

    def _left(self, principal: Principal, listen: Listen) -> None:
        user = self._users[principal]
        del user.listens[listen]
        user.uri_count -= len(listen.places)
        user.char_count -= sum(map(len, listen.places))
        self._changed(principal, user)

    def _changed(
        self, principal: Principal, user: _User, unasked: Container[Kind] = frozenset()
    ) -> None:
        """Look after what is wanted now; a user who listens no more is forgotten."""
        self._list_changes.watch(principal, user.kinds, unasked)
        if user.listens:
            self._refresh_soon(principal, user)
            return
        del self._users[principal]
        for call in (user.soon, user.doubt):
            if call is not None:
                call.cancel()
        for server_listen in user.servers.values():
            server_listen.stop()

    def _refresh_soon(self, principal: Principal, user: _User) -> None:
        if user.finding is not None:
            user.again = True
        elif user.soon is None:
            wait_s = max(0.0, user.refreshed_s + PAUSE_S - self._reactor.seconds())
            user.soon = self._reactor.callLater(wait_s, self._refresh, principal, user)

    def _refresh(self, principal: Principal, user: _User) -> None:
        """Find out what is wanted of each server, in as many turns as it takes, and listen to it."""
        user.refreshed_s = self._reactor.seconds()
        user.finding = self._find(principal, user)
        self._go_on(principal, user)

    def _go_on(self, principal: Principal, user: _User) -> None:
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

    def _listen_to_servers(self, principal: Principal, user: _User) -> None:
        """Listen to each server for what is wanted of it."""
        self._expect(principal, user)
        kinds, there = user.kinds, set()
        for device in self._parts.devices.of(principal):
            for name, server in device.servers.items():
                place = (device.installation_id, name)
                wanted = _wanted(server, kinds, user.heard.get(place, ()))
                known = user.servers.get(place)
                if not device.is_connected:
                    continue
                if not wanted or (known is None and server.info.state != "ready"):
                    continue
                there.add(place)
                if known is None:
                    info = self._parts.server_info
                    known = ServerListen(self._reactor, self._parts.calls, info, self)
                    user.servers[place] = known
                known.want(device, server, wanted)
        for place in user.servers.keys() - there:
            if self._is_away(principal, place):
                user.servers[place].lose()
            else:
                user.servers.pop(place).stop()

    def _expect(self, principal: Principal, user: _User) -> None:
        """Look again when more is known by time alone."""
        if user.doubt is not None:
            user.doubt.cancel()
            user.doubt = None
        wait_s = self._expected.look_again_s(principal)
        if wait_s is not None:
            user.doubt = self._reactor.callLater(wait_s, self._refresh_doubt, principal, user)

    def _refresh_doubt(self, principal: Principal, user: _User) -> None:
        user.doubt = None
        self._refresh_soon(principal, user)

    def _is_away(self, principal: Principal, place: _Place) -> bool:
        """Whether a device is away, and may come back with the server."""
        device = self._parts.devices.get(principal, place[0])
        return device is not None and not device.is_connected and place[1] in device.servers

    def _find(self, principal: Principal, user: _User) -> Iterator[None]:
        """Find who wants to hear of which URIs of each server; yield at the end of each turn.

        Then say once that it changed of what nobody tells of, or another server from now on: reading
        it, a client sees what became of it.
        """
        heard: dict[_Place, dict[str, list[tuple[Listen, str]]]] = {}
        vain: list[tuple[Listen, str]] = []
        moved: list[tuple[Listen, str]] = []
        owners, steps = self._owners(principal), 0
        was_settled = owners is not None
        for listen, uri in [(each, uri) for each in user.listens for uri in each.places]:
            before = listen.places[uri]
            taken, known = self._look_up(principal, uri, before, owners)
            if known is not None:
                listen.places[uri] = known
                of_place = heard.setdefault((known.device_key, known.server), {})
                of_place.setdefault(known.item, []).append((listen, uri))
                if not self._honouring.can_tell(principal, known):
                    vain.append((listen, uri))
                elif before not in (None, known):
                    moved.append((listen, uri))
            steps += taken
            if steps >= STEPS_PER_TURN:
                yield
                owners, steps = self._owners(principal), 0
                was_settled = was_settled and owners is not None
        user.heard = heard
        told, user.vain = user.vain, frozenset(vain)
        for listen, uri in (*moved, *(each for each in vain if each not in told)):
            listen.updated(uri, {"uri": jsonrpc.raw(uri)})
            steps += _STEPS_TO_TELL
            if steps >= STEPS_PER_TURN:
                yield
                steps = 0
        if self._expected.is_settled(principal) and not was_settled:
            user.again = True  # some were looked up before it was known whose they are

    def _owners(self, principal: Principal) -> Owners | None:
        """Return whose URIs are whose in this turn; None while that is not known of what is there.

        While devices are expected it is not guessed whose the rest is: it may be theirs.
        """
        if not self._expected.is_settled(principal):
            return None
        may_guess = self._expected.wait_s(principal) is None
        return self._parts.owners.now(principal, self._parts.epoch_s(), may_guess=may_guess)

    def _look_up(
        self, principal: Principal, uri: str, before: Target | None, owners: Owners | None
    ) -> tuple[int, Target | None]:
        """Return how many steps it took, and the place of a URI: the one `before` if none is known.

        What nobody lists may be read from another server when there are others, or other templates.
        """
        start = 0 if owners is None else owners.steps
        place = self._honouring.place(principal, uri, owners)
        return 1 if owners is None else owners.steps - start, place or before

    # What servers tell.

    def lists_changed(self, device: Device, server: RemoteServer, kinds: tuple[Kind, ...]) -> None:
        for kind in kinds:
            self._server_changed(device, server, kind)

    def resource_updated(self, device: Device, server: str, message: Notification) -> None:
        user = self._users.get(device.principal)
        own = jsonrpc.text(message.params.get("uri"))
        if user is None or own is None:
            return
        heard = user.heard.get((device.installation_id, server), {})
        told: set[Listen] = set()
        for uri in subscriptions.with_parents(own):
            hearing = [each for each in heard.get(uri, ()) if each[0] not in told]
            told.update(listen for listen, _called in hearing)
            for listen, called in hearing:
                if uri == own:
                    listen.updated(called, _shown(message.params, called))
                elif own in heard:  # the server may tell of it for another's sake alone
                    listen.updated(called, {"uri": jsonrpc.raw(called)})
                else:
                    uris = self._parts.tables.of(device.principal).uris
                    part = uris.mention(device.installation_id, server, own)
                    listen.updated(called, _shown(message.params, part))

    def refused(self, device: Device, server: RemoteServer, uris: frozenset[str]) -> None:
        if not server.is_doubtful:
            return
        for uri in uris:
            server.refused.add(uri)
        user = self._users.get(device.principal)
        if user is not None:
            self._refresh_soon(device.principal, user)

    def was_deaf(self, device: Device, server: str) -> None:
        """Whatever could not be heard of may have changed."""
        user = self._users.get(device.principal)
        heard = user.heard.get((device.installation_id, server), {}) if user is not None else {}
        for listeners in heard.values():
            for listen, uri in listeners:
                listen.updated(uri, {"uri": jsonrpc.raw(uri)})
        known = device.servers.get(server)
        if known is not None and known.features is not None:
            self.lists_changed(device, known, tuple(known.features.notifies))

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


def _shown(params: Members, uri: str) -> Members:
    """Return the params of a notification as our clients see them."""
    shown = jsonrpc.with_member(params, "uri", uri)
    try:
        about = jsonrpc.members(params.get(META))
    except JsonRpcError:
        about = {}
    about.pop(SUBSCRIPTION_ID, None)
    return jsonrpc.with_member(shown, META, about or None)
