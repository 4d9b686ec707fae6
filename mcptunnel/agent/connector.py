"""Keeps the agent connected: dial, introduce ourselves, run until the link is lost, wait, again.

For ever, except when the relay refuses the credential or another process of this installation took
our place: then a person must do something, and `run` says what.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mcptunnel.config.agent_key import make_key_command
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.backoff import Backoff
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused, printable
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link import CLOSE_NORMAL, Link, LinkLost, LinkReceiver
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

TUNNEL_PATH: Final = "/tunnel"

_NEW_KEY = f"Make a new one with `{make_key_command('agent.key')}`, and give it in {{key_place}}."
_FINAL = {
    ErrorCode.UNAUTHORIZED: f"The relay does not accept this key any more. {_NEW_KEY}",
    ErrorCode.REVOKED: f"The key of this agent was revoked. {_NEW_KEY}",
    ErrorCode.REPLACED: "Another process of this installation connected and took over. "
    "Stop one of them, or give each a state_dir of its own.",
    ErrorCode.UNSUPPORTED_VERSION: "Relay and agent speak different versions of the tunnel "
    "protocol. Install the same release of mcptunnel on both.",
}

_TOLD = (ErrorCode.REVOKED, ErrorCode.REPLACED)
"""Of these the relay has nothing to add."""

_ORDERLY = (ErrorCode.NO_ERROR, ErrorCode.SHUTDOWN)
_ORDERLY_CLOSES = (None, CLOSE_NORMAL, 1001)
"""Close codes (RFC 6455, section 7.4.1) that tell of no error: none, normal, going away."""


class Refused(McpTunnelError):
    """The relay will not have this agent, and trying again cannot help."""


class ConnectorOwner(Protocol):
    """The agent's service."""

    def hello(self) -> Hello:
        """Return how we introduce ourselves."""

    def connected(self, tunnel: Tunnel, welcome: Welcome) -> None:
        """The relay took us in."""

    def disconnected(self) -> None:
        """The tunnel is gone."""

    def exchange_opened(self, exchange: Exchange) -> None:
        """The relay opened an exchange; set its receiver."""


class Connector:
    """One tunnel after the other (`net.tunnel.TunnelOwner`).

    `dial(receiver)` makes a link, as `net.dial.connect` does. `relay` is its origin, for people, and
    `key_place` where the key is configured.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        owner: ConnectorOwner,
        *,
        dial: Callable[[LinkReceiver], Awaitable[Link]],
        backoff: Backoff,
        settings: Settings,
        relay: str,
        key_place: str,
    ) -> None:
        self._reactor = reactor
        self._owner = owner
        self._dial = dial
        self._backoff = backoff
        self._settings = settings
        self._relay = relay
        self._key_place = key_place
        self._told = ""
        self.tunnel: Tunnel | None = None
        self._lost: Deferred[LinkLost] | None = None
        self._going_away: PeerGoingAway | None = None

    async def run(self) -> None:
        """Stay connected for ever. Raises Refused when trying again cannot help."""
        while True:
            try:
                await self._once()
            except UpgradeRefused as refusal:
                if refusal.is_credential_refused:
                    raise Refused(self._key_refused(refusal)) from refusal
                self._backoff.failed(refusal.retry_after_s)
                self._failed(self._refusal(refusal))
            except ConnectFailed as failure:
                self._backoff.failed()
                self._failed(f"cannot reach the relay: {failure}")
            await deferLater(self._reactor, self._backoff.delay_s())

    def _failed(self, reason: str) -> None:
        """Log why an attempt failed: once, for as long as the reason stays the same."""
        if reason != self._told:
            self._told = reason
            self._log.warn("{reason}. Trying again, less and less often.", reason=reason)

    def _refusal(self, refusal: UpgradeRefused) -> str:
        if refusal.is_foreign:
            seen = f"({refusal.status} for {TUNNEL_PATH})"
            return f"{self._relay} is no mcptunnel relay {seen}. Check `relay`"
        return f"the relay refused: {refusal}"

    def _key_refused(self, refusal: UpgradeRefused) -> str:
        said = f": {refusal.said}" if refusal.said else ""
        return (
            f"The relay refused this agent's key (HTTP {refusal.status}){said}. Check"
            f" {self._key_place}; make a key with `{make_key_command('agent.key')}`."
        )

    async def _once(self) -> None:
        """Connect once, and return when the link is lost."""
        session = Session(Role.AGENT, self._settings, self._reactor.seconds())
        self._going_away = None
        lost: Deferred[LinkLost] = Deferred()
        self._lost = lost
        self.tunnel = tunnel = Tunnel(self._reactor, session, self)
        try:
            await self._dial(tunnel)
            reason = await lost  # perhaps it came before `dial` returned
        finally:
            self.tunnel = None
        notice = self._notice()
        if notice is not None and notice.code in _FINAL:
            raise Refused(self._goodbye(notice))
        self._log.info("the tunnel is gone: {text}", text=reason.text or "closed")
        if notice is None:
            self._backoff.lost(
                self._reactor.seconds(), with_error=reason.code not in _ORDERLY_CLOSES
            )
            return
        self._backoff.lost(
            self._reactor.seconds(),
            with_error=notice.code not in _ORDERLY,
            retry_after_s=notice.retry_after_s,
        )

    def _goodbye(self, notice: PeerGoingAway) -> str:
        text = "" if notice.code in _TOLD else printable(notice.text)
        said = f" (The relay said: {text})" if text else ""
        return _FINAL[notice.code].format(key_place=self._key_place) + said

    def _notice(self) -> PeerGoingAway | None:
        """Return the GOAWAY of the tunnel that is gone."""
        return self._going_away

    # What the tunnel tells us.

    def link_made(self, tunnel: Tunnel) -> None:
        tunnel.hello(self._owner.hello())

    def peer_hello(self, tunnel: Tunnel, hello: Hello) -> None:
        """Never comes: the session refuses a HELLO from a relay."""

    def peer_welcome(self, tunnel: Tunnel, welcome: Welcome) -> None:
        self._told = ""
        self._backoff.welcomed(self._reactor.seconds())
        self._owner.connected(tunnel, welcome)

    def exchange_opened(self, exchange: Exchange) -> None:
        self._owner.exchange_opened(exchange)

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        self._going_away = notice
        if notice.code not in _FINAL:  # else `Refused` says it
            self._log.info(
                "the relay is going away: {code} {text}",
                code=notice.code.name,
                text=printable(notice.text),
            )

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self._owner.disconnected()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost.callback(reason)
