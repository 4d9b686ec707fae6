"""The agent: local servers on one side, a tunnel to the relay on the other."""

import os
from collections.abc import Callable
from math import inf
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

import mcptunnel
from mcptunnel.agent.connector import Connector, Dial
from mcptunnel.agent.control import Announcer
from mcptunnel.agent.credential import Credential, Refused
from mcptunnel.agent.exchanges import Exchanges
from mcptunnel.agent.installation import installation_id
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.interfaces import (
    STOP_GRACE_S,
    URGENT_GRACE_S,
    IdleServer,
    LocalServer,
)
from mcptunnel.agent.servers.isolated import IsolatedServer
from mcptunnel.agent.servers.stdio import StdioServer
from mcptunnel.agent.servers.two_eras import TwoEras
from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.server_half.request_state import RequestStates
from mcptunnel.net.backoff import Backoff
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.pace import TokenBucket
from mcptunnel.net.stopping import Drain, StopOrder
from mcptunnel.net.tunnel import Tunnel, settings_of
from mcptunnel.net.websocket import MASKS_NATIVELY
from mcptunnel.store.kept_file import kept_secret
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Hello, Welcome

STOPPING = "the agent is stopping"
ANNOUNCE_DELAY_S = 0.02
ANNOUNCE_BURST = 10
ANNOUNCE_PER_S = 1.0
"""A start's changes are told at once, those of a server that never rests only so often."""


class AgentService(Service):
    """Runs the servers of one configuration and keeps them reachable through the relay.

    `dial` shows the relay what `credential` gives; that is started and stopped here.
    `refused` is called with the error when the relay will never have this agent; `order` says how to
    stop.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: AgentConfig,
        *,
        dial: Dial,
        credential: Credential,
        random: Callable[[], float],
        refused: Callable[[Refused], None],
        order: StopOrder | None = None,
    ) -> None:
        self._order = order or StopOrder()
        self._drain = Drain(reactor, self._order, config.tunnel.drain_s)
        self._reactor = reactor
        self._config = config
        self._refused = refused
        self._installation_id = installation_id(config.state_dir)
        self._client_info = jsonrpc.raw({"name": "mcptunnel", "version": mcptunnel.__version__})
        secret = kept_secret(config.state_dir, "Name another state_dir.")
        self._states = RequestStates.of(secret, os.urandom)
        self.servers: dict[str, LocalServer] = {
            server.name: self._local_server(server) for server in config.servers
        }
        self._announcer = Announcer(lambda: [server.status for server in self.servers.values()])
        self._announce_call: IDelayedCall | None = None
        self._announcements = TokenBucket(ANNOUNCE_BURST, ANNOUNCE_PER_S)
        self._exchanges = self._made_exchanges()
        self._settings = settings_of(config.tunnel)
        self._connector = Connector(
            reactor,
            self,
            dial=dial,
            backoff=Backoff(random),
            settings=self._settings,
            relay=config.relay,
            credential=credential,
        )
        self._credential = credential
        self._is_refused = False
        self._connecting: Deferred[None] | None = None

    def _made_exchanges(self) -> Exchanges:
        most_bytes = self._config.max_request_bytes
        return Exchanges(
            self._reactor, self.servers, random=os.urandom, max_request_bytes=most_bytes
        )

    def _local_server(self, config: ServerConfig) -> LocalServer:
        reactor, info, states = self._reactor, self._client_info, self._states

        def one(changed: Callable[[], None], *, probe: bool) -> IdleServer:
            kind = HttpServer if config.kind == "http" else StdioServer
            return kind(
                reactor, config, client_info=info, states=states, changed=changed, probe=probe
            )

        def make(changed: Callable[[], None]) -> IdleServer:
            return TwoEras(reactor, config, make=one, states=states, changed=changed)

        if config.isolation == "shared":
            return make(self._server_changed)
        return IsolatedServer(self._reactor, config, make=make, changed=self._server_changed)

    def startService(self) -> None:
        super().startService()
        if not MASKS_NATIVELY:
            self._log.warn(
                "Autobahn lacks its compiled part (NVX): sending takes much CPU, 80 ns per byte. "
                "Install it anew, with a C compiler at hand."
            )
        for server in self.servers.values():
            server.start()
        self._log.info(
            "connecting to {relay} as {name}", relay=self._config.relay, name=self._config.name
        )
        self._credential.start(self._end)
        self._connecting = Deferred.fromCoroutine(self._connector.run())
        self._connecting.addErrback(self._stopped_connecting)

    async def stopService(self) -> None:
        """Let calls finish, say goodbye, and end the servers."""
        Service.stopService(self)
        self._order.has_begun = True
        self._exchanges.drain()
        for local in self.servers.values():
            local.end_listens()
        if self._announce_call is not None:
            self._announce_call.cancel()
            self._announce_call = None
        self._announcer.detach()
        self._connector.leave()
        if self._connector.tunnel is not None:
            self._connector.tunnel.go_away(ErrorCode.NO_ERROR, STOPPING)
            await self._drain.calls(self._call_count, self._is_idle)
        tunnel = self._connector.tunnel
        if self._connecting is not None:
            self._connecting.cancel()
        if tunnel is not None:
            tunnel.close(ErrorCode.SHUTDOWN, STOPPING)
        self._exchanges.stop()
        resting = Deferred.fromCoroutine(self._credential.stop())
        await self._stop_servers()
        await resting
        await deferLater(self._reactor, 0)  # a turn for the socket to take our goodbye

    def _call_count(self) -> int:
        tunnel = self._connector.tunnel
        return 0 if tunnel is None else tunnel.session.stream_count

    def _is_idle(self) -> bool:
        """Say whether no call runs and the relay has all of the last answer."""
        tunnel = self._connector.tunnel
        return tunnel is None or tunnel.session.is_settled

    async def _stop_servers(self) -> None:
        grace_s = URGENT_GRACE_S if self._order.is_urgent else STOP_GRACE_S
        stopping = self._stopping_servers(grace_s)
        if grace_s > URGENT_GRACE_S:
            await self._drain.until(lambda: stopping.called or self._order.is_urgent, inf)
            if not stopping.called:
                self._stopping_servers(URGENT_GRACE_S)  # which hurries what goes on already
        await stopping

    def _stopping_servers(self, grace_s: float) -> "Deferred[Any]":
        ending = [Deferred.fromCoroutine(server.stop(grace_s)) for server in self.servers.values()]
        for one in ending:
            one.addErrback(lambda failure: self._log.failure("cannot stop a server", failure))
        return DeferredList(ending)

    def _stopped_connecting(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        error = failure.value
        if not isinstance(error, Refused):
            self._log.failure("the connector failed", failure)
            error = Refused("An internal error ended the connection; see the log.")
        self._end(error)

    def _end(self, error: Refused) -> None:
        """Say it once: the connector and the credential may both come to it."""
        if self._is_refused:
            return
        self._is_refused = True
        self._log.error("{error}", error=str(error))
        self._refused(error)

    # What the connector tells us.

    def hello(self) -> Hello:
        return Hello(
            installation_id=self._installation_id,
            device_name=self._config.name,
            software_version=mcptunnel.__version__,
            limits=self._settings.limits,
        )

    def connected(self, tunnel: Tunnel, welcome: Welcome) -> None:
        self._log.info(
            "connected to {relay} as {name}",
            relay=self._config.relay,
            name=printable(welcome.device_name),
        )
        if welcome.notice:
            self._log.warn("{notice}", notice=printable(welcome.notice))
        self._announcer.attach(tunnel)

    def disconnected(self) -> None:
        self._announcer.detach()

    def exchange_opened(self, exchange: Exchange) -> None:
        self._exchanges.accept(exchange)

    # What the servers tell us.

    def _server_changed(self) -> None:
        """Announce soon, so that the many changes of a start make few announcements."""
        if self.running and self._announce_call is None:
            wait_s = self._announcements.wait_s(self._reactor.seconds())
            delay_s = max(ANNOUNCE_DELAY_S, wait_s)
            self._announce_call = self._reactor.callLater(delay_s, self._announce)

    def _announce(self) -> None:
        self._announce_call = None
        self._announcements.take(self._reactor.seconds())
        self._announcer.announce()
