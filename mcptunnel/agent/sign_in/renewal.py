"""Renews a sign-in, under its lock: of all programs that share it, one asks the relay."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mcptunnel.agent.credential import NotRenewedError, Refused
from mcptunnel.agent.sign_in.answers import (
    NoSignInError,
    RefusedError,
    RelayUnavailableError,
)
from mcptunnel.agent.sign_in.authorization_server import TIMEOUT_S, AuthorizationServer
from mcptunnel.agent.sign_in.grant import Grant
from mcptunnel.agent.sign_in.kept import GrantLock, KeptGrant, KeptGrantError, login_command

LOCK_WAIT_S: Final = TIMEOUT_S + 10.0
LOCK_POLL_S: Final = 0.05

InThread = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs what waits for a disk."""


async def acquire(
    reactor: Any, lock: GrantLock, *, wait_s: float = LOCK_WAIT_S, poll_s: float = LOCK_POLL_S
) -> bool:
    """Take a lock; False if another program holds it for so long. Raises KeptGrantError."""
    end_s = reactor.seconds() + wait_s
    while not lock.try_acquire():
        if reactor.seconds() >= end_s:
            return False
        await deferLater(reactor, poll_s)
    return True


class Renewal:
    """Reads and renews the sign-in that is `kept`."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        kept: KeptGrant,
        asked: AuthorizationServer,
        *,
        epoch_s: Callable[[], float],
        in_thread: InThread,
    ) -> None:
        self._reactor = reactor
        self._kept = kept
        self._asked = asked
        self._epoch_s = epoch_s
        self._in_thread = in_thread
        self._unwritten: tuple[Grant, Grant] | None = None

    def read(self) -> Grant:
        """Return the newest grant.

        Raises Refused if there is none, or none that can be used, NotRenewedError if it cannot be
        read now.
        """
        try:
            grant = self._kept.read()
        except KeptGrantError as error:
            if error.is_passing:
                raise NotRenewedError(str(error).rstrip(".")) from error
            raise Refused(f"The sign-in of this agent cannot be used: {error}") from error
        if grant is None:
            raise Refused(sign_in_again(self._kept.relay, "Nobody is signed in any more"))
        if self._unwritten is not None and grant == self._unwritten[0]:
            return self._unwritten[1]
        self._unwritten = None
        return grant

    async def renew(self, is_good: Callable[[Grant], bool]) -> Grant:
        """Return a grant that is good: another program's, or one that the relay gives now.

        Raises Refused when the grant is over, NotRenewedError when the relay cannot be asked now.
        """
        lock = self._kept.lock()
        try:
            if not await acquire(self._reactor, lock):
                raise NotRenewedError("another program has held the sign-in's lock for too long")
        except KeptGrantError as error:
            raise NotRenewedError(str(error).rstrip(".")) from error
        try:
            grant = self.read()
            while not is_good(grant):
                try:
                    return await self._ask(grant)
                except RefusedError as refused:
                    newer = self.read()
                    if newer.refresh_token == grant.refresh_token:
                        raise Refused(self._over(refused)) from refused
                    grant = newer  # locks do not hold on every file system
            return grant
        finally:
            lock.release()

    async def keep(self) -> None:
        """Write what could not be written when it came, if that is possible by now."""
        if self._unwritten is None:
            return
        lock = self._kept.lock()
        try:
            if lock.try_acquire():
                await self._write_again()
        except (KeptGrantError, NotRenewedError):
            pass  # it was told when it came
        finally:
            lock.release()

    async def _write_again(self) -> None:
        newest = self.read()
        if self._unwritten is not None:
            await self._in_thread(lambda: self._kept.write(newest))
            self._unwritten = None
            self._log.info("the renewed sign-in is kept now")

    async def _ask(self, grant: Grant) -> Grant:
        try:
            tokens = await self._asked.renew(grant.refresh_token)
        except RelayUnavailableError as error:
            raise NotRenewedError(str(error), error.retry_after_s) from error
        except NoSignInError as error:
            raise Refused(f"The sign-in of this agent is of no use now. {error}") from error
        renewed = grant.renewed(tokens, self._epoch_s())
        try:
            await self._in_thread(lambda: self._kept.write(renewed))
        except KeptGrantError as error:
            # The relay takes the old token for a while: until then the disk may have room again.
            self._log.error("the renewed sign-in cannot be kept: {error}", error=str(error))
            kept = grant if self._unwritten is None else self._unwritten[0]
            self._unwritten = (kept, renewed)
        return renewed

    def _over(self, refused: RefusedError) -> str:
        if refused.code == "invalid_grant":
            return sign_in_again(
                self._kept.relay, "The sign-in of this agent is over: it was revoked, or too old"
            )
        return sign_in_again(
            self._kept.relay, f"The relay does not renew the sign-in of this agent: {refused}"
        )


def sign_in_again(relay: str, what: str) -> str:
    """Say what has happened to a sign-in, and how to get another."""
    return f"{what}. Sign in again: {login_command(relay)}"
