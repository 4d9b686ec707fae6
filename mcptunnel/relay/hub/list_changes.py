"""Notices when a user's merged lists become others, and says so, not too often."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from msgspec import Raw
from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.subscriptions import ALIKE, CHANGED
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.hub.listing import Listing
from mcptunnel.relay.hub.settling import Settling

INTERVAL_S: Final = 1.0
"""A change of the same list is told of no sooner after the last one."""

_Seen: TypeAlias = tuple[tuple[Raw, ...], ...]


@dataclass(slots=True)
class _Watched:
    """One kind of a user's: its lists when last looked at, when a change was told of last.

    A list that is not there was not known before `unknown_until_s`, and nobody had asked for it.
    """

    seen: dict[Kind, _Seen]
    unknown_until_s: float
    told_s: float = float("-inf")
    later: IDelayedCall | None = None


@dataclass(slots=True)
class _User:
    kinds: dict[Kind, _Watched] = field(default_factory=dict)
    away: IDelayedCall | None = None  # when a device that is away is listed no longer


class ListChanges:
    """Looks at the lists of those who listen. `tell(principal, kind)` says that one changed.

    Of a list it is seen without looking into it: what did not change is the same object.
    """

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        listings: Mapping[Kind, Listing],
        settling: Settling,
        *,
        epoch_s: Callable[[], float],
        offline_grace_s: float,
        tell: Callable[[Principal, Kind], None],
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._listings = listings
        self._settling = settling
        self._epoch_s = epoch_s
        self._offline_grace_s = offline_grace_s
        self._tell = tell
        self._users: dict[Principal, _User] = {}

    def watch(
        self, principal: Principal, kinds: Iterable[Kind], unasked: Container[Kind] = ()
    ) -> None:
        """Look at these lists of a user from now on, and at no others.

        What the servers say of the lists `unasked`, for which nobody asked before, is no change the
        first time.
        """
        user, wanted = self._users.setdefault(principal, _User()), set(kinds)
        until_s = self._reactor.seconds() + self._settling.timeout_s
        for kind in wanted - user.kinds.keys():
            known = [one for one in ALIKE[CHANGED[kind]] if one not in unasked]
            seen = {one: self._look(principal, one) for one in known}
            user.kinds[kind] = _Watched(seen, until_s)
        for kind in user.kinds.keys() - wanted:
            _call_off(user.kinds.pop(kind).later)
        _call_off(user.away)
        user.away = None
        if wanted:
            self._wait_for_absent(principal, user)
        else:
            del self._users[principal]

    def check(self, principal: Principal) -> None:
        """Hear that a user's lists, or devices, may be others now."""
        user = self._users.get(principal)
        if user is None:
            return
        for kind, watched in user.kinds.items():
            if self._is_changed(principal, kind, watched) and watched.later is None:
                wait_s = watched.told_s + INTERVAL_S - self._reactor.seconds()
                if wait_s <= 0:
                    self._tell_now(principal, kind, watched)
                else:
                    watched.later = self._reactor.callLater(
                        wait_s, self._tell_now, principal, kind, watched
                    )
        self._wait_for_absent(principal, user)

    def stop(self) -> None:
        """Look at nothing any more."""
        for principal in tuple(self._users):
            self.watch(principal, ())

    def _is_changed(self, principal: Principal, kind: Kind, watched: _Watched) -> bool:
        is_late = self._reactor.seconds() >= watched.unknown_until_s
        changed = False
        for one in ALIKE[CHANGED[kind]]:
            now, before = self._look(principal, one), watched.seen.get(one)
            if before is None:
                if not is_late and not self._settling.is_settled(principal, one):
                    continue
                before = () if is_late else now  # who asked meanwhile was answered by then
            watched.seen[one] = now
            changed = changed or _differ(now, before)
        return changed

    def _look(self, principal: Principal, kind: Kind) -> _Seen:
        return tuple(self._listings[kind].by_server(principal, self._epoch_s()))

    def _tell_now(self, principal: Principal, kind: Kind, watched: _Watched) -> None:
        watched.later = None
        watched.told_s = self._reactor.seconds()
        self._tell(principal, kind)

    def _wait_for_absent(self, principal: Principal, user: _User) -> None:
        """Look again when the next device that is away has been so for too long."""
        _call_off(user.away)
        user.away = None
        epoch_s = self._epoch_s()
        ends_s = [
            device.last_seen_s + self._offline_grace_s
            for device in self._devices.of(principal)
            if not device.is_connected
        ]
        next_s = min((end_s for end_s in ends_s if end_s > epoch_s), default=None)
        if next_s is not None:
            user.away = self._reactor.callLater(next_s - epoch_s, self._absent, principal, user)

    def _absent(self, principal: Principal, user: _User) -> None:
        user.away = None
        self.check(principal)


def _differ(now: _Seen, before: _Seen) -> bool:
    return len(now) != len(before) or any(a is not b for a, b in zip(now, before, strict=True))


def _call_off(call: IDelayedCall | None) -> None:
    if call is not None:
        call.cancel()
