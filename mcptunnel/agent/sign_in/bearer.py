"""An agent's sign-in as its credential: a good access token before every attempt, for as long as the grant lives."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.agent.credential import DEVICE_REVOKED, NotRenewedError, Refused, told
from mcptunnel.agent.sign_in.grant import Grant
from mcptunnel.agent.sign_in.kept import login_command
from mcptunnel.agent.sign_in.renewal import Renewal
from mcptunnel.config.secret import Secret
from mcptunnel.net.errors import UpgradeRefused
from mcptunnel.net.single_flight import SingleFlight
from mcptunnel.wire.constants import ErrorCode

LOOK_EVERY_S: Final = 60.0
"""A grant that nobody renews dies, however long a link is up."""

NEW_S: Final = 60.0
"""When the relay refuses a token that is so new, another is of no use."""

STOP_WAIT_S: Final = 2.0


class Stops(Protocol):
    """What asks the relay (`net.http.Fetcher`)."""

    async def stop(self) -> None: ...


class SignedIn:
    """The sign-in at the relay with this origin (`agent.credential.Credential`)."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        relay: str,
        renewal: Renewal,
        fetcher: Stops,
        *,
        epoch_s: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._relay = relay
        self._renewal = renewal
        self._fetcher = fetcher
        self._epoch_s = epoch_s
        self._flights: SingleFlight[Grant] = SingleFlight()
        self._given: Secret | None = None
        self._refused: Secret | None = None
        self._renewed_s: float | None = None
        self._keeping: Deferred[None] | None = None
        self._told = ""

    def start(self, over: Callable[[Refused], None]) -> None:
        self._keeping = Deferred.fromCoroutine(self._keep(over))
        self._keeping.addErrback(self._failed)

    async def stop(self) -> None:
        """Let a renewal that goes on come to its end: its answer would be lost, and perhaps the grant."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
        end_s = self._reactor.seconds() + STOP_WAIT_S
        while self._flights and self._reactor.seconds() < end_s:
            await deferLater(self._reactor, 0.01)
        self._flights.stop()
        await self._fetcher.stop()

    async def bearer(self) -> str:
        grant = await self._grant()
        self._given = grant.access_token
        return grant.access_token.reveal()

    def refuse(self) -> bool:
        if self._given is None:
            return False
        try:
            if self._renewal.read().access_token != self._given:
                return True  # another program renewed it, or a person signed in again
        except (Refused, NotRenewedError):
            return True  # the next attempt says why
        now_s = self._reactor.seconds()
        if self._renewed_s is not None and now_s - self._renewed_s < NEW_S:
            return False
        self._refused = self._given
        return True

    def refused_words(self, refusal: UpgradeRefused) -> str:
        return f"The relay refused this agent's sign-in {told(refusal)}. {self._again()}"

    def ended_words(self, code: ErrorCode) -> str:
        what = {
            ErrorCode.REVOKED: "The sign-in of this agent was revoked.",
            ErrorCode.DEVICE_REVOKED: DEVICE_REVOKED,
        }.get(code, "The relay does not accept this sign-in any more.")
        return f"{what} {self._again()}"

    def _again(self) -> str:
        return f"Sign in again: {login_command(self._relay)}"

    async def _grant(self) -> Grant:
        """Return a grant that is good; one that ends soon will do while it cannot be renewed."""
        grant = self._renewal.read()
        if self._is_fresh(grant):
            return grant
        try:
            return await self._flights.join("", self._renew)
        except NotRenewedError as error:
            if grant.access_token != self._refused and grant.is_alive(self._epoch_s()):
                self._tell(error)
                return grant
            raise

    async def _renew(self) -> Grant:
        grant = await self._renewal.renew(self._is_fresh)
        self._renewed_s = self._reactor.seconds()
        self._refused = None
        self._told = ""
        return grant

    def _is_fresh(self, grant: Grant) -> bool:
        return grant.access_token != self._refused and grant.is_fresh(self._epoch_s())

    async def _keep(self, over: Callable[[Refused], None]) -> None:
        while True:
            await deferLater(self._reactor, LOOK_EVERY_S)
            try:
                await self._grant()
                await self._renewal.keep()
            except NotRenewedError as error:
                self._tell(error)
            except Refused as refused:
                over(refused)
                return

    def _tell(self, error: NotRenewedError) -> None:
        """Log why a renewal failed: once, for as long as the reason stays the same."""
        if str(error) != self._told:
            self._told = str(error)
            self._log.warn("cannot renew the sign-in: {error}. Trying again.", error=error)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the sign-in is not kept fresh any more", failure)
