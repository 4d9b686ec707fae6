"""Which URIs of a listen can be heard of, as far as can be known: in doubt they are honoured."""

from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.names import Target
from mcptunnel.model import Principal
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.relay.hub.parts import Parts


class Honouring:
    """Says where a URI is read from, and whether it can be told of from there."""

    def __init__(self, parts: Parts, expected: Expected) -> None:
        self._parts = parts
        self._expected = expected

    def place(self, principal: Principal, uri: str, owners: Owners | None) -> Target | None:
        """Return the place that a URI is read from; None if that is nowhere, or not known yet.

        Without `owners` only what was listed or mentioned before is known.
        """
        if owners is None:
            return self._parts.tables.of(principal).uris.resolve(uri)
        try:
            return owners.of(uri)
        except JsonRpcError:
            return None

    def can_tell(self, principal: Principal, target: Target) -> bool:
        """Whether a server tells of its resources; of one that is not known yet it is believed."""
        device = self._parts.devices.get(principal, target.device_key)
        if device is None:
            return False
        server = device.servers.get(target.server)
        if server is None:
            return self._expected.may_come(device) or (device.is_connected and not device.announced)
        return server.may_tell(target.item)
