"""The relay: the public web site, the agents behind it, the store and the control socket."""

import secrets
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.logger import Logger

from mcptunnel.auth.keys import KeyId
from mcptunnel.config.auth import LOCAL, NONE
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.surroundings import about_auth
from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.session_table import IDLE_S, McpSessions
from mcptunnel.model import Principal
from mcptunnel.net.listen import ListeningService
from mcptunnel.net.stopping import Drain, StopOrder
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.net.tunnel import settings_of
from mcptunnel.net.upgrade import upgrade
from mcptunnel.relay.access import Access, Revoked, is_same_client
from mcptunnel.relay.agents import Agents
from mcptunnel.relay.api_keys import ApiKeys
from mcptunnel.relay.audit_file import AuditFile
from mcptunnel.relay.bearers import BEARER, Bearers
from mcptunnel.relay.control import SOCKET_NAME, Commanded, ControlSocket
from mcptunnel.relay.control_api import RelayStatus
from mcptunnel.relay.credentials import BearerCheck, Credentials
from mcptunnel.relay.device_directory import DeviceDirectory
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.hub.hub import Hub
from mcptunnel.relay.hub.kept_sessions import KeptSessions, restored
from mcptunnel.relay.in_use import InUse
from mcptunnel.relay.login.directory import UserDirectory
from mcptunnel.relay.login.service import LoginService
from mcptunnel.relay.oauth.limits import RequestLimits
from mcptunnel.relay.oauth.service import OAuthService
from mcptunnel.relay.oauth.taking_back import GrantDirectory
from mcptunnel.relay.remembering import Remembering
from mcptunnel.relay.revoking import tell_agents
from mcptunnel.relay.secret import relay_secret
from mcptunnel.relay.session_owners import SessionOwners
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.bearer import BearerGate
from mcptunnel.relay.web.mcp import McpEndpoint
from mcptunnel.relay.web.oauth.tree import put_hints
from mcptunnel.relay.web.open_gate import OpenGate
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.realm import Realm
from mcptunnel.relay.web.request import RelayRequest, RelaySite
from mcptunnel.relay.web.root import Root
from mcptunnel.relay.web.transparent import TransparentEndpoint
from mcptunnel.relay.web.tree import Gates, guard_of, make_root
from mcptunnel.store.database import Database, location_of
from mcptunnel.store.directory import StoredKeys
from mcptunnel.store.engine import Store
from mcptunnel.store.past import Past, read_past

FLUSH_S: Final = 0.5
"""How long a stop waits for the last errors to reach the clients."""


class RelayService(MultiService):
    """Everything that one relay process is. `order` says how it is to stop.

    `epoch_s` is the time of day, for what is stored and shown; all else goes by the reactor's clock.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        order: StopOrder | None = None,
        *,
        epoch_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._order = order or StopOrder()
        self._drain = Drain(reactor, self._order, config.tunnel.drain_s)
        self._draining = Draining(config.retry_after_s)
        self._epoch_s = epoch_s
        self._secret = cache(partial(relay_secret, config.secret, config.state_dir))
        self._location = location_of(config.state_dir, config.store.url)
        self._store = Store(self._location, reactor)
        keys = self._make_keys(config)
        self._users = self._make_users(config)
        self.oauth = self._make_oauth(config)
        self.login = self._make_login(config)
        self._credentials = Credentials(self._checks(keys), reactor.seconds, epoch_s)
        self.in_use = self._make_in_use(config)
        self._remembering = Remembering(self._store, epoch_s)
        self._bearers = Bearers(self._remembering.names_changed)
        self.devices = Devices(self._changed, self._remembering.device_forgotten, self._bearers)
        self.hub = self._make_hub(config)
        self._keep_alive = KeepAlive(ReactorTimers(reactor))
        self._mcp = self._hub_endpoint(config)
        self._settings = settings_of(config.tunnel)
        self.agents = self._make_agents()
        self._site = self._make_site(config)
        self.listening = ListeningService(config.listen, self._site, reactor)
        self.listening.setServiceParent(self)
        self._control(config, keys).setServiceParent(self)
        if config.audit_file is not None:
            file = AuditFile(config.audit_file, self._store, reactor, epoch_s)
            file.setServiceParent(self)

    def _make_site(self, config: RelayConfig) -> RelaySite:
        realm = Realm() if self.oauth is None else self.oauth.realm
        root = self._root(config, realm)
        max_bytes = config.limits.max_request_bytes
        return RelaySite(root, max_bytes, self._reactor, self._draining, realm)

    def _make_oauth(self, config: RelayConfig) -> OAuthService | None:
        if not config.auth.has_sign_in:
            return None
        oauth = OAuthService(
            self._reactor,
            config.auth.oauth,
            config.public_url,
            self._store,
            epoch_s=self._epoch_s,
            secret=self._secret,
            revoked=self.revoked,
        )
        oauth.setServiceParent(self)
        return oauth

    def _make_in_use(self, config: RelayConfig) -> InUse:
        most = config.limits.max_user_requests
        in_use = InUse(self._reactor, self._epoch_s, most_of_user=most)
        if self.oauth is not None:
            in_use.grants = self.oauth.server.bearer
        return in_use

    def _make_keys(self, config: RelayConfig) -> StoredKeys:
        return StoredKeys(
            self._store,
            random=secrets.token_bytes,
            epoch_s=self._epoch_s,
            revoked=self._key_revoked,
            issuer=config.auth.user_issuer,
        )

    def _make_users(self, config: RelayConfig) -> UserDirectory:
        return UserDirectory(
            self._store,
            config.public_url,
            is_local=config.auth.mode == LOCAL,
            random=secrets.token_bytes,
            epoch_s=self._epoch_s,
            revoked=self.revoked,
        )

    def _make_login(self, config: RelayConfig) -> LoginService | None:
        if not config.auth.has_sign_in:
            return None
        login = LoginService(
            self._reactor,
            config,
            self._store,
            self._users,
            epoch_s=self._epoch_s,
            secret=self._secret,
            revoked=self.revoked,
        )
        login.setServiceParent(self)
        return login

    def _checks(self, keys: StoredKeys) -> Iterable[BearerCheck]:
        yield ApiKeys(keys, self._reactor.seconds)
        if self.oauth is not None:
            yield self.oauth.server.bearer

    def _make_hub(self, config: RelayConfig) -> Hub:
        return Hub(
            self._reactor,
            config,
            self.devices,
            names_changed=self._remembering.names_changed,
            secret=self._secret,
            epoch_s=self._epoch_s,
        )

    def _make_agents(self) -> Agents:
        return Agents(
            self._reactor,
            self._settings,
            self.devices,
            self._remembering,
            self._draining,
            self.in_use,
            epoch_s=self._epoch_s,
        )

    def startService(self) -> None:
        """Open the store, then everything else. Raises `errors.McpTunnelError`."""
        idle_s = self._epoch_s() - IDLE_S
        with Database(self._location) as database:
            past = read_past(database, sessions_since_s=idle_s)
        for warning in about_auth(self._config):
            self._log.warn("{warning}", warning=warning)
        self._store.start()
        self._restore(past)
        try:
            super().startService()
        except McpTunnelError:
            self._store.stop()  # its threads would keep the program from ending
            raise

    def _restore(self, past: Past) -> None:
        """Take in what an earlier relay left behind."""
        self.devices.restore(
            Device(
                record.principal,
                record.installation_id,
                record.name,
                record.first_seen_s,
                record.last_seen_s,
                record.revoked_s,
            )
            for record in past.devices
        )
        for (principal, kind), rows in past.names.items():
            if kind == BEARER:
                self._bearers.restore(principal, rows)
            else:
                self.hub.tables.restore(principal, kind, rows)
        self._sessions.restore(restored(past.sessions))

    async def stopService(self) -> None:
        """Let calls finish; then close everything. New requests are answered until then."""
        self._order.has_begun = self._draining.is_on = True
        self._mcp.end_streams()
        self._site.drain()
        self.hub.go_away()
        self.agents.go_away()
        await self._drain.calls(self._call_count, lambda: not self._call_count())
        self._mcp.stop()
        self.hub.stop()
        self._keep_alive.stop()
        self.in_use.stop()
        await self.agents.stop()
        await self._drain.until(lambda: not self._site.answering_count, FLUSH_S)
        await MultiService.stopService(self)
        self._kept_sessions.flush()
        await self._remembering.finish()
        self._store.stop()

    def _call_count(self) -> int:
        # Most calls are both: a stream to an agent, and an answer to a client.
        return max(self.agents.stream_count, self._site.answering_count)

    def _status(self) -> RelayStatus:
        resuming = self.devices.resuming_count
        return RelayStatus(
            state="draining" if self._draining.is_on else "running",
            calls=self._call_count(),
            devices=self.devices.connected_count - resuming,
            resuming=resuming,
        )

    def _hub_endpoint(self, config: RelayConfig) -> McpEndpoint:
        random, draining = secrets.token_bytes, self._draining
        self._kept_sessions = KeptSessions(self._reactor, self._remembering.sessions_changed)
        self._sessions = McpSessions(
            random, config.limits.max_sessions, self._kept_sessions, is_same_client
        )
        return McpEndpoint(
            self._reactor, self.hub, self._sessions, random, self._keep_alive, draining
        )

    def _root(self, config: RelayConfig, realm: Realm) -> Root:
        self._owners = owners = SessionOwners(config.limits.max_sessions)
        transparent = TransparentEndpoint(self.devices, owners, self._keep_alive, self._draining)
        root = make_root(
            config,
            gate=self._gate(config, realm),
            devices=self.devices,
            draining=self._draining,
            hub=self._mcp,
            server=transparent.answer,
            tunnel=self._upgrade,
        )
        self._put_sign_in(root, config)
        return root

    def _put_sign_in(self, root: Root, config: RelayConfig) -> None:
        if self.oauth is None or self.login is None:
            put_hints(root, config.auth.mode)
            return
        guard, pages = guard_of(config), Pages(config.public_url)
        addresses = ClientAddresses(config.trusted_proxies)
        per_minute = self.oauth.server.settings.requests_per_minute
        limits = RequestLimits(per_minute, self._reactor.seconds)
        self.login.put(root, guard, pages, addresses, limits)
        self.oauth.put(root, guard, pages, self.login.browsers, addresses, limits)

    def _gate(self, config: RelayConfig, realm: Realm) -> Gates:
        if config.auth.mode == NONE:
            return lambda _scope, _reading=None: OpenGate(self.in_use)
        return partial(BearerGate, self._credentials, self.in_use, realm)

    def _control(self, config: RelayConfig, keys: StoredKeys) -> ControlSocket:
        return ControlSocket(
            config.state_dir / SOCKET_NAME,
            Commanded(
                keys,
                self._status,
                self._device_directory(),
                self._users,
                GrantDirectory(self._store, epoch_s=self._epoch_s, revoked=self.revoked),
            ),
            self._reactor,
            self._reactor,
        )

    def _device_directory(self) -> DeviceDirectory:
        return DeviceDirectory(
            self._store,
            self.devices,
            epoch_s=self._epoch_s,
            revoked=self.revoked,
            forgotten=self.hub.forget_names,
        )

    def _upgrade(self, request: RelayRequest, access: Access, _body: bytes) -> None:
        request.let_go()  # what it becomes is noted by its own name
        upgrade(request, self.agents.receiver(access), reactor=self._reactor)

    def _changed(self, principal: Principal) -> None:
        self.hub.changed(principal)

    def _key_revoked(self, key_id: KeyId) -> None:
        self.revoked(Revoked(grant_id=key_id))

    def revoked(self, revoked: Revoked) -> None:
        """End at once what was taken away, here and on the agents; the store knows of it already."""
        self._credentials.revoked(revoked)
        self.in_use.end(revoked)
        self._mcp.revoked(revoked)
        tell_agents(self.devices, self._owners.revoked(revoked))
