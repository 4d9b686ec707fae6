"""What is open now on the strength of which access, so that it ends when that access does."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, Revoked

MOST_OF_USER: Final = 2_000

SWEEP_S: Final = 30.0
"""How often it is looked whether the grants of what is open are still there."""


class Work(Protocol):
    """Something that an access opened: a request up to the end of its answer, or an agent's link."""

    def access_ended(self, *, is_revoked: bool) -> None:
        """End at once (`is_revoked`); if the access only expired, no sooner than a call has its answer.

        What would last for ever ends in both cases.
        """


class Grants(Protocol):
    """Knows the grants of accesses that expire."""

    async def renewable(self, grant_ids: Collection[str]) -> Mapping[str, float]:
        """Return until when each of these that is in force can be renewed. Raises McpTunnelError."""


class InUse:
    """All that is open. `epoch_s` tells the time of day, by which accesses expire.

    Revocation ends it at once (`end`); what nobody told here, of another process for instance, is seen by
    a look at `grants`, which may be set until something is open. `most_of_user` is for whoever lets
    something in to ask about.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, epoch_s: Callable[[], float], *, most_of_user: int = MOST_OF_USER
    ) -> None:
        self.grants: Grants | None = None
        self._reactor = reactor
        self._epoch_s = epoch_s
        self._open: dict[Work, Access] = {}
        self._most_of_user = most_of_user
        self._counts: dict[Principal, int] = {}
        self._sweep_call: Any = None
        self._looking: Deferred[None] | None = None
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, access: Access, work: Work) -> None:
        """Note work; what is noted already has another access from now on."""
        self.over(work)
        self._open[work] = access
        self._counts[access.principal] = self._counts.get(access.principal, 0) + 1
        if access.expires_s is not None:
            self._sweep_later()

    def over(self, work: Work) -> None:
        """Note that work is over; no-op if it was not noted."""
        access = self._open.pop(work, None)
        if access is None:
            return
        left = self._counts[access.principal] - 1
        if left:
            self._counts[access.principal] = left
        else:
            del self._counts[access.principal]

    def has_room(self, principal: Principal) -> bool:
        """Tell whether a user may have one thing more open."""
        return self._counts.get(principal, 0) < self._most_of_user

    def end(self, revoked: Revoked) -> None:
        """End all work whose access was taken away."""
        for work, access in tuple(self._open.items()):
            if revoked.takes(access) and work in self._open:  # one may have ended another
                self._end(work, is_revoked=True)

    def stop(self) -> None:
        """Look for nothing any more."""
        self._is_stopped = True
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
        if self._looking is not None:
            self._looking.cancel()

    def _end(self, work: Work, *, is_revoked: bool) -> None:
        try:
            work.access_ended(is_revoked=is_revoked)
        except Exception:  # noqa: BLE001 - the rest must end all the same
            self._log.failure("cannot end what lost its access")

    def _sweep_later(self) -> None:
        is_coming = self._sweep_call is not None or self._looking is not None
        if self.grants is not None and not is_coming and not self._is_stopped:
            self._sweep_call = self._reactor.callLater(SWEEP_S, self._sweep, self.grants)

    def _sweep(self, grants: Grants) -> None:
        self._sweep_call = None
        ids = {access.grant_id for access in self._open.values() if access.expires_s is not None}
        if ids:
            self._looking = Deferred.fromCoroutine(self._look(grants, ids))
            self._looking.addBoth(self._looked)

    async def _look(self, grants: Grants, ids: Collection[str]) -> None:
        """End what has lost its grant, and what nobody can renew when it has expired."""
        now_s = self._epoch_s()  # what could be renewed at the time may be renewed by now
        renewable = await grants.renewable(ids)
        for work, access in tuple(self._open.items()):
            if access.expires_s is None or access.grant_id not in ids or work not in self._open:
                continue  # one may have ended another
            until_s = renewable.get(access.grant_id)
            if until_s is None:
                self._end(work, is_revoked=True)
            elif max(access.expires_s, until_s) <= now_s:
                self._end(work, is_revoked=False)

    def _looked(self, result: object) -> None:
        self._looking = None
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._log.failure("cannot see whether grants are in force", result)
        self._sweep_later()
