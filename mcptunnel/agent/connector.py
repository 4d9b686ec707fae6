"""Keeps the agent connected: dial, introduce ourselves, run until the link is lost, wait, again.

The tunnel outlives links: the next one takes it up, as long as both sides still hold it. For ever, except when the relay
refuses the credential or the device, or another process of this installation took our place: then a person must do
something, and `run` says what.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mcptunnel.agent.credential import ABOUT_CREDENTIAL, Credential, NotRenewedError, Refused
from mcptunnel.net.backoff import Backoff
from mcptunnel.net.dial import CONNECT_TIMEOUT_S
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused, printable
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link import Link, LinkLost, LinkReceiver
from mcptunnel.net.link_end import CLOSE_PROTOCOL_ERROR, LinkEnd
from mcptunnel.net.tunnel import ORDERLY_CLOSES, Tunnel
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

TUNNEL_PATH: Final = "/tunnel"

REDIAL_TIMEOUT_S: Final = 5.0
"""For a dial while the session waits. A relay may hold it for 10 s only (`closed_link_window_s`): after
a dial into nothing there must be time for another."""

Dial: TypeAlias = Callable[[LinkReceiver, float], Awaitable[Link]]

_FINAL = {
    ErrorCode.REPLACED: "Another process of this installation connected and took over. "
    "Stop one of them, or give each a state_dir of its own.",
    ErrorCode.UNSUPPORTED_VERSION: "Relay and agent speak different versions of the tunnel "
    "protocol. Install the same release of mcptunnel on both.",
}

_FINAL_OF_CREDENTIAL = (*ABOUT_CREDENTIAL, ErrorCode.DEVICE_REVOKED)

_TOLD = (ErrorCode.REVOKED, ErrorCode.REPLACED, ErrorCode.DEVICE_REVOKED)
"""Of these the relay has nothing to add."""

_ORDERLY = (ErrorCode.NO_ERROR, ErrorCode.SHUTDOWN)


class ConnectorOwner(Protocol):
    """The agent's service."""

    def hello(self) -> Hello:
        """Return how we introduce ourselves."""

    def connected(self, tunnel: Tunnel, welcome: Welcome) -> None:
        """The relay took us in, with a new tunnel; when it takes up the old one nobody need know."""

    def disconnected(self) -> None:
        """The tunnel is gone."""

    def exchange_opened(self, exchange: Exchange) -> None:
        """The relay opened an exchange; set its receiver."""


class Connector:
    """One link after the other (`net.owners.LinkOwner`, `net.owners.TunnelOwner`).

    `dial(receiver, timeout_s)` makes a link, as `net.dial.connect` does, with what `credential` gives.
    `relay` is its origin, for people. `tunnel` is the one that is up, or that waits for its next link.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        owner: ConnectorOwner,
        *,
        dial: Dial,
        backoff: Backoff,
        settings: Settings,
        relay: str,
        credential: Credential,
    ) -> None:
        self._reactor = reactor
        self._owner = owner
        self._dial = dial
        self._backoff = backoff
        self._settings = settings
        self._relay = relay
        self._credential = credential
        self._told = ""
        self.tunnel: Tunnel | None = None
        self._joined: Tunnel | None = None  # to the link that is up
        self._resume_token = ""
        self._link_over: Deferred[LinkLost] | None = None
        self._notice: PeerGoingAway | Goaway | None = None
        self._is_leaving = False

    def leave(self) -> None:
        """Begin no session any more; the present one may be resumed. `run` ends with it."""
        self._is_leaving = True

    async def run(self) -> None:
        """Stay connected until `leave`. Raises Refused when trying again cannot help."""
        try:
            await self._run()
        finally:
            tunnel, self.tunnel, self._joined = self.tunnel, None, None
            if tunnel is not None and tunnel.is_suspended:
                tunnel.lose(LinkLost(clean=True, code=None, text="the agent does not come back"))

    async def _run(self) -> None:
        while not (self._is_leaving and self.tunnel is None):
            try:
                if await self._once():
                    continue  # with another credential, at once
            except UpgradeRefused as refusal:
                if refusal.is_credential_refused:
                    if self._credential.refuse():
                        continue
                    raise Refused(self._credential.refused_words(refusal)) from refusal
                self._backoff.failed(refusal.retry_after_s)
                self._failed(self._refusal(refusal))
            except NotRenewedError as failure:
                self._backoff.failed(failure.retry_after_s)
                self._failed(f"cannot renew the sign-in: {failure}")
            except ConnectFailed as failure:
                self._backoff.failed()
                self._failed(f"cannot reach the relay: {failure}")
            delay_s = self._backoff.delay_s(is_held=self.tunnel is not None)
            await deferLater(self._reactor, delay_s)

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

    async def _once(self) -> bool:
        """Connect once, and return when the link is lost: whether the credential alone was at fault."""
        self._notice = None
        over: Deferred[LinkLost] = Deferred()
        self._link_over = over
        end = LinkEnd(self._reactor, Role.AGENT, self._settings, self)
        try:
            await self._dial(end, CONNECT_TIMEOUT_S if self.tunnel is None else REDIAL_TIMEOUT_S)
            reason = await over  # perhaps it came before `dial` returned
        finally:
            if end.tunnel is None:
                end.part()
        notice, now_s = self._last_notice(), self._reactor.seconds()
        if notice is not None and notice.code in ABOUT_CREDENTIAL and self._credential.refuse():
            self._log.info("the relay takes this credential no longer: trying with another one")
            return True
        if notice is not None and _is_final(notice):
            raise Refused(self._goodbye(notice))
        self._log.info("the link is gone: {text}", text=printable(reason.text) or "closed")
        if self.tunnel is not None and notice is not None and notice.code is ErrorCode.NO_ERROR:
            notice = None  # calls run on: they need the next link at once
        if notice is None:
            self._backoff.lost(now_s, with_error=reason.code not in ORDERLY_CLOSES)
            return False
        self._backoff.lost(
            now_s,
            with_error=notice.code not in _ORDERLY,
            retry_after_s=notice.retry_after_s,
        )
        return False

    def _last_notice(self) -> PeerGoingAway | Goaway | None:
        """Return what the relay said before the link was lost."""
        return self._notice

    def _goodbye(self, notice: PeerGoingAway | Goaway) -> str:
        text = "" if notice.code in _TOLD else printable(notice.text)
        said = f" (The relay said: {text})" if text else ""
        words = _FINAL.get(notice.code) or self._credential.ended_words(notice.code)
        return words + said

    def _over(self, reason: LinkLost) -> None:
        over, self._link_over = self._link_over, None
        if over is not None:
            over.callback(reason)

    def _going_away(self, notice: PeerGoingAway | Goaway) -> None:
        self._notice = notice
        if not _is_final(notice):  # else `Refused` says it
            self._log.info(
                "the relay is going away: {code} {text}",
                code=notice.code.name,
                text=printable(notice.text),
            )

    # What the link tells us.

    def link_made(self, end: LinkEnd) -> None:
        hello, tunnel = self._owner.hello(), self.tunnel
        if tunnel is not None:
            received_count = tunnel.session.received_count
            hello = replace(hello, resume_token=self._resume_token, last_received=received_count)
        end.hello(hello)

    def peer_hello(self, end: LinkEnd, hello: Hello) -> None:
        """Never comes: the greeting refuses a HELLO from a relay."""

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        self._told = ""
        self._backoff.welcomed(self._reactor.seconds())
        self._resume_token = welcome.resume_token
        old = self.tunnel
        if welcome.resumed and old is None:  # its time was over while we waited for the WELCOME
            end.close(CLOSE_PROTOCOL_ERROR, "the session is over")
            return
        if welcome.resumed and old is not None:
            self._joined = old
            if old.resume(end, welcome.last_received):
                self._log.info("resumed")
            return
        if old is not None:
            old.lose(LinkLost(clean=True, code=None, text="the relay did not resume the session"))
        if self._is_leaving:
            end.goodbye(ErrorCode.SHUTDOWN, "the agent is stopping")  # or it is expected back
            return
        session = Session(Role.AGENT, self._settings, welcome.limits, self._reactor.seconds())
        self.tunnel = self._joined = tunnel = Tunnel(self._reactor, session, self)
        tunnel.join(end)
        self._owner.connected(tunnel, welcome)

    def peer_refused(self, end: LinkEnd, refusal: Goaway) -> None:
        self._going_away(refusal)

    def link_lost(self, end: LinkEnd, reason: LinkLost) -> None:
        self._over(reason)

    # What the tunnel tells us.

    def exchange_opened(self, exchange: Exchange) -> None:
        self._owner.exchange_opened(exchange)

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        self._going_away(notice)

    def tunnel_suspended(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self._parted(tunnel, reason)

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self.tunnel = None
        notice = self._last_notice()
        if notice is None or not _is_final(notice):
            text = printable(reason.text) or "closed"
            self._log.info("the tunnel is gone: {text}", text=text)
        self._owner.disconnected()
        self._parted(tunnel, reason)

    def _parted(self, tunnel: Tunnel, reason: LinkLost) -> None:
        if tunnel is self._joined:
            self._joined = None
            self._over(reason)


def _is_final(notice: PeerGoingAway | Goaway) -> bool:
    return notice.code in _FINAL or notice.code in _FINAL_OF_CREDENTIAL
