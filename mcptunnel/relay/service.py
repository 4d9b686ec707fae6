"""The relay: the public web site, the agents behind it, the store and the control socket."""

import secrets
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import Logger

from mcptunnel.auth.keys import KeyId
from mcptunnel.config.relay import RelayConfig
from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Principal
from mcptunnel.net.listen import ListeningService
from mcptunnel.net.tunnel import settings_of
from mcptunnel.net.upgrade import upgrade
from mcptunnel.relay.access import Access
from mcptunnel.relay.agents import Agents
from mcptunnel.relay.control import SOCKET_NAME, ControlSocket
from mcptunnel.relay.credentials import Credentials
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.hub import Hub
from mcptunnel.relay.hub.sessions import McpSessions
from mcptunnel.relay.remembering import Remembering
from mcptunnel.relay.session_owners import SessionOwners
from mcptunnel.relay.web.mcp import McpEndpoint
from mcptunnel.relay.web.request import RelayRequest, RelaySite
from mcptunnel.relay.web.root import Root
from mcptunnel.relay.web.transparent import TransparentEndpoint
from mcptunnel.relay.web.tree import make_root
from mcptunnel.store.database import FILE_NAME, Database
from mcptunnel.store.devices import Devices as DeviceTable
from mcptunnel.store.directory import StoredKeys
from mcptunnel.store.engine import Store
from mcptunnel.store.names import Names


class RelayService(MultiService):
    """Everything that one relay process is."""

    _log = Logger()

    def __init__(self, reactor: Any, config: RelayConfig) -> None:
        super().__init__()
        self._reactor = reactor
        self._path = config.state_dir / FILE_NAME
        self._store = Store(self._path, reactor)
        keys = StoredKeys(
            self._store, random=secrets.token_bytes, now_s=reactor.seconds, revoked=self._revoked
        )
        self._credentials = Credentials(keys, reactor.seconds)
        self._remembering = Remembering(self._store, reactor.seconds)
        self.devices = Devices(self._changed, self._remembering.device_forgotten)
        self.hub = Hub(
            reactor,
            config,
            self.devices,
            names_changed=self._remembering.names_changed,
        )
        sessions = McpSessions(secrets.token_bytes, config.limits.max_sessions)
        self._mcp = McpEndpoint(reactor, self.hub, sessions, secrets.token_bytes)
        self._settings = settings_of(config.tunnel)
        self.agents = Agents(reactor, self._settings, self.devices, self._remembering.device_seen)
        site = RelaySite(self._root(config), config.limits.max_request_bytes, reactor)
        self.listening = ListeningService(config.listen, site, reactor)
        self.listening.setServiceParent(self)
        ControlSocket(config.state_dir / SOCKET_NAME, keys, reactor, reactor).setServiceParent(self)

    def startService(self) -> None:
        """Open the store, then everything else. Raises `errors.McpTunnelError`."""
        with Database(self._path) as database:
            known = database.read(lambda connection: DeviceTable(connection).list())
            names = database.read(lambda connection: Names(connection).list())
        self._store.start()
        self.devices.restore(
            Device(
                record.principal,
                record.installation_id,
                record.name,
                record.first_seen_s,
                record.last_seen_s,
            )
            for record in known
        )
        for principal, rows in names.items():
            self.hub.listing.restore(principal, rows)
        try:
            super().startService()
        except McpTunnelError:
            self._store.stop()  # its threads would keep the program from ending
            raise

    async def stopService(self) -> None:
        self._mcp.end_streams()  # a port that is closed waits for no connection, but clients do
        await MultiService.stopService(self)
        self._mcp.stop()
        self.hub.stop()
        await self.agents.stop()
        await self._remembering.finish()
        self._store.stop()

    def _root(self, config: RelayConfig) -> Root:
        transparent = TransparentEndpoint(self.devices, SessionOwners(config.limits.max_sessions))
        return make_root(
            config,
            credentials=self._credentials,
            connected_count=lambda: self.devices.connected_count,
            resuming_count=lambda: self.devices.resuming_count,
            mcp=self._mcp.answer,
            server=transparent.answer,
            tunnel=self._upgrade,
        )

    def _upgrade(self, request: RelayRequest, access: Access, _body: bytes) -> None:
        upgrade(request, self.agents.receiver(access), reactor=self._reactor)

    def _changed(self, principal: Principal) -> None:
        self.hub.changed(principal)

    def _revoked(self, key_id: KeyId) -> None:
        self._credentials.revoked(key_id)
        self._mcp.revoked(key_id)
        self.agents.revoked(key_id)
