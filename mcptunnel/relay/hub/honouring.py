"""Which URIs of a listen can be heard of, as far as can be known: in doubt they are honoured."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.names import Target
from mcptunnel.model import Principal
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.relay.hub.parts import Parts

MAX_URIS: Final = 500
"""URIs that one listen may name; others are not honoured."""

STEPS_PER_TURN: Final = 500
"""How much is looked up in one turn of the reactor (`owners.Owners.steps`): about a millisecond."""


class Honouring:
    """Says where a URI is read from, and whether it can be told of from there."""

    def __init__(self, parts: Parts, expected: Expected) -> None:
        self._parts = parts
        self._expected = expected

    def honoured(
        self, principal: Principal, uris: Iterable[str]
    ) -> Iterable[tuple[str, Target | None]]:
        """Return the URIs that can be heard of, as far as can be known now, and their places.

        What cannot be looked up in this turn is honoured like what is not known yet.
        """
        is_known = self._expected.knows_all(principal)
        owners = self.owners(principal)
        for uri in islice(uris, MAX_URIS):
            may_look = owners is not None and owners.steps < STEPS_PER_TURN
            target = self._place(principal, uri, owners if may_look else None)
            if target is None:
                if not (is_known and may_look):
                    yield uri, None
            elif self.can_tell(principal, target):
                yield uri, target

    def is_settled(self, principal: Principal) -> bool:
        """Whether it is known what the devices have that are there."""
        return self._expected.is_settled(principal)

    def owners(self, principal: Principal) -> Owners | None:
        """Return whose URIs are whose in this turn; None while that is not known of what is there.

        While devices are expected it is not guessed whose the rest is: it may be theirs.
        """
        if not self.is_settled(principal):
            return None
        may_guess = self._expected.wait_s(principal) is None
        return self._parts.owners.now(principal, self._parts.epoch_s(), may_guess=may_guess)

    def look_up(
        self, principal: Principal, uri: str, before: Target | None, owners: Owners | None
    ) -> tuple[int, Target | None]:
        """Return how many steps it took, and the place of a URI: the one `before` if none is known.

        What nobody lists may be read from another server when there are others, or other templates.
        """
        start = 0 if owners is None else owners.steps
        place = self._place(principal, uri, owners)
        return 1 if owners is None else owners.steps - start, place or before

    def can_tell(self, principal: Principal, target: Target) -> bool:
        """Whether a server tells of its resources; of one that is not known yet it is believed."""
        device = self._parts.devices.get(principal, target.device_key)
        if device is None:
            return False
        server = device.servers.get(target.server)
        if server is None:
            return self._expected.may_come(device) or (device.is_connected and not device.announced)
        return server.may_tell(target.item)

    def _place(self, principal: Principal, uri: str, owners: Owners | None) -> Target | None:
        """Return the place that a URI is read from; None if that is nowhere, or not known yet.

        Without `owners` only what was listed or mentioned before is known.
        """
        if owners is None:
            return self._parts.tables.of(principal).uris.resolve(uri)
        try:
            return owners.of(uri)
        except JsonRpcError:
            return None
