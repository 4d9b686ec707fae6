"""Which devices may still come back, and so what a user has may become known."""

from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.parts import Parts


class Expected:
    """Expects devices of which nothing is known but that they were there, for a while.

    Those are the devices that the store remembers, after a start of the relay, and such as came and
    went without a word. They are expected for `offline_grace_s`: for so long a device that went away
    stays listed, too.
    """

    def __init__(self, parts: Parts, offline_grace_s: float) -> None:
        self._parts = parts
        self._grace_s = offline_grace_s
        self._start_s: float = parts.reactor.seconds()

    def knows_all(self, principal: Principal) -> bool:
        """Whether it is known what a user's devices have, of all that are there or expected."""
        return self.wait_s(principal) is None and self.is_settled(principal)

    def is_settled(self, principal: Principal) -> bool:
        """Whether it is known what the devices have that are there; not if nobody has asked them."""
        settling = self._parts.settling
        return all(
            settling.is_settled(principal, kind) and self._was_asked(principal, kind)
            for kind in (Kind.RESOURCE, Kind.TEMPLATE)
        )

    def _was_asked(self, principal: Principal, kind: Kind) -> bool:
        return self._parts.catalogue.is_wanted(principal, kind) or not any(
            server.has(kind)
            for device in self._parts.devices.of(principal)
            for server in device.servers.values()
        )

    def wait_s(self, principal: Principal) -> float | None:
        """Return how long the next of a user's devices is still expected; None if none is."""
        now_s: float = self._parts.reactor.seconds()
        left_s = [
            self._until_s(device) - now_s
            for device in self._parts.devices.of(principal)
            if self.may_come(device)
        ]
        return min(left_s, default=None)

    def look_again_s(self, principal: Principal) -> float | None:
        """Return after how long time alone may make more known; None if it will not."""
        waits_s = (self.wait_s(principal), self._parts.settling.wait_s(principal))
        return min((wait_s for wait_s in waits_s if wait_s is not None), default=None)

    def may_come(self, device: Device) -> bool:
        """Whether a device is away, nothing is known of it, and it is expected: not if it was revoked."""
        now_s: float = self._parts.reactor.seconds()
        return is_strange(device) and not device.is_revoked and now_s < self._until_s(device)

    def _until_s(self, device: Device) -> float:
        return max(self._start_s, device.joined_s) + self._grace_s


def is_strange(device: Device) -> bool:
    """Whether a device is away, and this relay never heard what it has."""
    return not (device.is_connected or device.announced or device.servers)
