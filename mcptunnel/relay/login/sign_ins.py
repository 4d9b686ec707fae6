"""Who signed in and out, and who could not: for the audit log, and a line each in the log."""

from collections.abc import Callable

from twisted.logger import Logger

from mcptunnel.model import Principal
from mcptunnel.relay.login.auditing import Event, audit
from mcptunnel.store.engine import Store


class SignIns:
    """Writes down what happens. `epoch_s` is the time of day."""

    _log = Logger()

    def __init__(self, store: Store, epoch_s: Callable[[], float]) -> None:
        self._store = store
        self._epoch_s = epoch_s

    async def came(self, principal: Principal, address: str, way: str) -> None:
        """Note that a person signed in, in a way: `local`, `oidc` or the kind of a link."""
        self._log.info(
            "{principal} signed in ({way}) from {address}",
            principal=str(principal),
            way=way,
            address=address,
        )
        await self._note(Event.SIGNED_IN, principal, address, {"way": way})

    async def refused(self, address: str, way: str, reason: str) -> None:
        """Note that nobody signed in, and why."""
        self._log.info(
            "a sign-in ({way}) from {address} was refused: {reason}",
            way=way,
            address=address,
            reason=reason,
        )
        await self._note(Event.REFUSED, None, address, {"way": way, "reason": reason})

    async def left(self, principal: Principal, address: str) -> None:
        """Note that a person signed out."""
        await self._note(Event.SIGNED_OUT, principal, address, {})

    async def _note(
        self, event: Event, principal: Principal | None, address: str, detail: dict[str, str]
    ) -> None:
        now_s = self._epoch_s()
        await self._store.write(
            lambda connection: audit(
                connection,
                event,
                at_s=now_s,
                principal=principal,
                address=address,
                detail=detail,
            )
        )
