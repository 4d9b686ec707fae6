"""`resources/read`: whose a URI is, listed or not."""

from collections.abc import Callable

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.kinds import MAX_URI_CHARS, Kind
from mcptunnel.mcp.links import map_contents
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.mcp.uri_templates import matched_chars
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.routed_call import RoutedCall
from mcptunnel.relay.remote_server import RemoteServer


class ResourceCall(RoutedCall):
    """A resource that is being read; `uri` is what the client calls it."""

    __slots__ = ("_uri",)

    def __init__(
        self, parts: Parts, access: Access, caller: Caller, target: Target, uri: str
    ) -> None:
        super().__init__(parts, access, caller, target)
        self._uri = uri

    def mapped(self, result: Members) -> bool:
        return map_contents(result, self._shown)

    def _shown(self, uri: str) -> str:
        return self._uri if uri == self._target.item else self.mention(uri)


class ResourceCalls:
    """Answers `resources/read` (`parts.Method`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        uri = jsonrpc.text(request.params.get("uri"))
        if uri is None:
            raise JsonRpcError(INVALID_PARAMS, "resources/read needs uri, a string")

        def read(target: Target) -> Running:
            call = ResourceCall(self._parts, access, caller, target, uri)
            call.start(request, jsonrpc.with_member(request.params, "uri", target.item))
            return call

        target = self._parts.tables.of(access.principal).uris.resolve(uri)
        if target is not None:
            return read(target)
        return when_owned(self._parts, access, caller, uri, read)


def when_owned(
    parts: Parts, access: Access, caller: Caller, uri: str, then: Callable[[Target], Running]
) -> Running | None:
    """Go on with the place of a URI, or of a template, once both lists are known."""
    principal = access.principal

    def listed() -> Running | None:
        return parts.when_settled(
            principal, Kind.TEMPLATE, caller, lambda: then(owner(parts, principal, uri))
        )

    return parts.when_settled(principal, Kind.RESOURCE, caller, listed)


def owner(parts: Parts, principal: Principal, uri: str) -> Target:
    """Return the place that a URI is read from.

    It is whose URI it is; else the server with the template that it fits best; else the only server
    that has resources. Raises JsonRpcError (INVALID_PARAMS) if none of these is there.
    """
    known = parts.tables.of(principal).uris.resolve(uri)
    if known is not None:
        return known
    epoch_s = parts.epoch_s()
    having = [
        (device, server)
        for device, server in parts.listings[Kind.RESOURCE].servers(principal, epoch_s)
        if server.has(Kind.RESOURCE)
    ]
    fitting = _by_template(parts, principal, having, uri)
    if fitting is not None:
        return fitting
    if len(having) == 1:
        device, server = having[0]
        return Target(device.installation_id, server.info.name, uri)
    raise JsonRpcError(
        INVALID_PARAMS,
        f"Unknown resource: {uri[:200]}; none of the {len(having)} servers with resources lists it",
        {"uri": uri},
    )


def _by_template(
    parts: Parts, principal: Principal, having: list[tuple[Device, RemoteServer]], uri: str
) -> Target | None:
    """Return the place of the template that a URI fits best; the owner's, where several list it."""
    if len(uri) > MAX_URI_CHARS:
        return None
    uris = parts.tables.of(principal).uris
    best: tuple[int, Target] | None = None
    for device, server in having:
        place = (device.installation_id, server.info.name)
        for template in server.known[Kind.TEMPLATE].items:
            chars = matched_chars(template.name, uri)
            if chars is None or (best is not None and chars <= best[0]):
                continue
            listed = uris.resolve(template.name)
            if listed is None or (listed.device_key, listed.server) == place:
                best = chars, Target(*place, uri)
    return None if best is None else best[1]
