"""Waiting, for a while, until what a user has is known.

A client that connects right after an agent would be shown a partial list, and many clients never
ask again.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.hub.listing import Listing


class Settling:
    """Tells when the tools of a user's connected devices are known, or the time is over."""

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        catalogue: Catalogue,
        listing: Listing,
        *,
        timeout_s: float,
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._catalogue = catalogue
        self._listing = listing
        self._timeout_s = timeout_s
        self._waiting: dict[Principal, set[Deferred[None]]] = {}

    def is_settled(self, principal: Principal) -> bool:
        """Whether there is nothing to wait for."""
        return self._listing.is_current(principal) and not any(
            self._is_becoming(device)
            for device in self._devices.of(principal)
            if device.is_connected
        )

    async def settled(self, principal: Principal) -> None:
        """Wait until there is nothing to wait for, but not for ever."""
        if self.is_settled(principal):
            return
        change: Deferred[None] = Deferred()
        waiting = self._waiting.setdefault(principal, set())
        waiting.add(change)
        change.addTimeout(self._timeout_s, self._reactor)
        try:
            await change
        except DeferredTimeoutError:
            return
        finally:
            waiting.discard(change)

    def changed(self, principal: Principal) -> None:
        """Hear that something changed."""
        if self._waiting.get(principal) and self.is_settled(principal):
            for change in tuple(self._waiting.pop(principal)):
                change.callback(None)

    def _is_becoming(self, device: Device) -> bool:
        now_s = self._reactor.seconds()
        if now_s - device.joined_s > 2 * self._timeout_s:
            # A server that starts, fails and starts again must not slow down every list.
            return any(
                self._catalogue.is_fetching(device, server) for server in device.servers.values()
            )
        return not device.announced or any(
            server.info.state == "starting"
            or (server.info.state == "ready" and not server.fresh)
            or self._catalogue.is_fetching(device, server)
            for server in device.servers.values()
        )
