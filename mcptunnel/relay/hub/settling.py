"""Waiting, for a while, until what a user has is known.

A client that connects right after an agent would be shown a partial list, and many clients never
ask again.
"""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.hub.listing import Listing


class Settling:
    """Tells when the list of a user's connected devices is known, of one kind, or the time is over.

    Nobody is let wait for longer than `timeout_s`.
    """

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        catalogue: Catalogue,
        listings: Mapping[Kind, Listing],
        *,
        timeout_s: float,
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._catalogue = catalogue
        self._listings = listings
        self.timeout_s = timeout_s
        self._waiting: dict[tuple[Principal, Kind], set[Deferred[None]]] = {}

    def is_settled(self, principal: Principal, kind: Kind) -> bool:
        """Whether there is nothing to wait for."""
        return self._listings[kind].is_current(principal) and not any(
            self._is_becoming(device, kind)
            for device in self._devices.of(principal)
            if device.is_connected
        )

    def wait_s(self, principal: Principal) -> float | None:
        """Return how long the next of a user's devices may still be waited for; None if none is."""
        left_s = [
            self._left_s(device) for device in self._devices.of(principal) if device.is_connected
        ]
        return min((one for one in left_s if one > 0), default=None)

    async def settled(self, principal: Principal, kind: Kind) -> None:
        """Wait until there is nothing to wait for, but not for ever."""
        if self.is_settled(principal, kind):
            return
        change: Deferred[None] = Deferred()
        waiting = self._waiting.setdefault((principal, kind), set())
        waiting.add(change)
        change.addTimeout(self.timeout_s, self._reactor)
        try:
            await change
        except DeferredTimeoutError:
            return
        finally:
            waiting.discard(change)

    def changed(self, principal: Principal) -> None:
        """Hear that something changed."""
        for kind in Kind:
            if self._waiting.get((principal, kind)) and self.is_settled(principal, kind):
                for change in tuple(self._waiting.pop((principal, kind))):
                    change.callback(None)

    def _is_becoming(self, device: Device, kind: Kind) -> bool:
        servers = device.servers.values()
        if any(self._catalogue.is_asking(device, server, kind) for server in servers):
            return True
        if self._left_s(device) <= 0:
            # A server that starts, fails and starts again must not slow down every list.
            return False
        return not device.announced or any(
            server.info.state == "starting" or self._catalogue.is_unknown(device, server, kind)
            for server in servers
        )

    def _left_s(self, device: Device) -> float:
        """Return how long a device that has just come is waited for still."""
        return float(device.joined_s + 2 * self.timeout_s - self._reactor.seconds())
