"""What servers tell of their lists and resources, to all of a user's listens that want to hear it."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from mcptunnel.mcp import jsonrpc, subscriptions
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members, Notification
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.meta import META, SUBSCRIPTION_ID
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.listeners import Heard, Listeners
from mcptunnel.relay.hub.server_listen import Ears
from mcptunnel.relay.hub.tables import Tables
from mcptunnel.relay.remote_server import RemoteServer

ServerChanged: TypeAlias = Callable[[Device, RemoteServer, Kind], None]
"""Is told which list of a server must be asked for again."""


class Hearing(Ears):
    """Passes on what servers tell; `refresh` is called when less is told than was thought."""

    def __init__(
        self,
        users: Mapping[Principal, Listeners],
        tables: Tables,
        server_changed: ServerChanged,
        refresh: Callable[[Principal], None],
    ) -> None:
        self._users = users
        self._tables = tables
        self._server_changed = server_changed
        self._refresh = refresh

    def lists_changed(self, device: Device, server: RemoteServer, kinds: tuple[Kind, ...]) -> None:
        for kind in kinds:
            self._server_changed(device, server, kind)

    def resource_updated(self, device: Device, server: str, message: Notification) -> None:
        own = jsonrpc.text(message.params.get("uri"))
        if own is None:
            return
        heard = self._heard(device, server)
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
                    uris = self._tables.of(device.principal).uris
                    part = uris.mention(device.installation_id, server, own)
                    listen.updated(called, _shown(message.params, part))

    def refused(self, device: Device, server: RemoteServer, uris: frozenset[str]) -> None:
        if not server.is_doubtful:
            return
        for uri in uris:
            server.refused.add(uri)
        self._refresh(device.principal)

    def was_deaf(self, device: Device, server: str) -> None:
        """Whatever could not be heard of may have changed."""
        for listening in self._heard(device, server).values():
            for listen, uri in listening:
                listen.updated(uri, {"uri": jsonrpc.raw(uri)})
        known = device.servers.get(server)
        if known is not None and known.features is not None:
            self.lists_changed(device, known, tuple(known.features.notifies))

    def _heard(self, device: Device, server: str) -> Heard:
        listeners = self._users.get(device.principal)
        return {} if listeners is None else listeners.at((device.installation_id, server))


def _shown(params: Members, uri: str) -> Members:
    """Return the params of a notification as our clients see them."""
    shown = jsonrpc.with_member(params, "uri", uri)
    try:
        about = jsonrpc.members(params.get(META))
    except JsonRpcError:
        about = {}
    about.pop(SUBSCRIPTION_ID, None)
    return jsonrpc.with_member(shown, META, about or None)
