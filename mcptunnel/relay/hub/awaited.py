"""Who is listed first, of servers that come at the same time: the one before in the order of the list.

What two servers have alike belongs to the one that is listed first. Which one answers first is chance,
so those behind wait for a server that may answer any moment: not for as long as lists are waited for,
so that what waited in vain is listed yet.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.remote_server import RemoteServer

SHARE: Final = 0.8
"""Of the time that a list waits for servers, so much may they wait for each other."""


class Awaited:
    """Tells which servers are waited for, each for `wait_s` in its life: until its first list is there.

    `over(principal)` is called when somebody has waited for so long.
    """

    def __init__(
        self,
        reactor: Any,
        catalogue: Catalogue,
        *,
        wait_s: float,
        over: Callable[[Principal], None],
    ) -> None:
        self._reactor = reactor
        self._catalogue = catalogue
        self._wait_s = wait_s
        self._over = over
        self._timers: dict[Principal, IDelayedCall] = {}

    def server_s(self, device: Device, server: RemoteServer, kind: Kind) -> float:
        """Return how long a server's first list is waited for from now on, 0 if it is not."""
        known, catalogue = server.known[kind], self._catalogue
        if known.fetched_s != float("inf") or not device.is_connected:
            return 0.0
        is_coming = (
            server.info.state == ServerState.STARTING
            or catalogue.is_asking(device, server, kind)
            or catalogue.is_unknown(device, server, kind)
        )
        if not is_coming:
            return 0.0
        now_s: float = self._reactor.seconds()
        known.awaited_s = min(known.awaited_s, now_s)
        return max(0.0, known.awaited_s + self._wait_s - now_s)

    def device_s(self, device: Device) -> float:
        """Return how long a device is waited for that has just come, and not said yet what it has."""
        if not device.is_connected or device.announced or device.servers:
            return 0.0
        now_s: float = self._reactor.seconds()
        return max(0.0, device.joined_s + self._wait_s - now_s)

    def waits(self, principal: Principal, left_s: float) -> None:
        """Note that a server of a user is not listed yet for the sake of others."""
        timer = self._timers.get(principal)
        if timer is None:
            self._timers[principal] = self._reactor.callLater(left_s, self._end, principal)
        elif timer.getTime() > self._reactor.seconds() + left_s:
            timer.reset(left_s)

    def stop(self) -> None:
        """Wait no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _end(self, principal: Principal) -> None:
        del self._timers[principal]
        self._over(principal)
