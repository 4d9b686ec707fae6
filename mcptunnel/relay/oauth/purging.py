"""Removing what is over from the store, a little at a time, for as long as the relay runs."""

from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.store.engine import Store
from mcptunnel.store.purge import Retention, purge

EVERY_S: Final = 600.0
SOON_S: Final = 1.0
"""When there is more to remove."""

LIMIT: Final = 1000
"""Rows of each kind in one transaction, which others wait for."""


class Purging(Service):
    """Purges the store now and then. `epoch_s` is the time of day."""

    _log = Logger()

    def __init__(
        self,
        store: Store,
        reactor: Any,
        epoch_s: Callable[[], float],
        retention: Retention | None = None,
    ) -> None:
        self._store = store
        self._reactor = reactor
        self._epoch_s = epoch_s
        self._retention = retention or Retention()
        self._call: Any = None
        self._purging: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._later(EVERY_S)

    async def stopService(self) -> None:
        """Stop, and wait for what is being removed."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._purging is not None:
            await self._purging

    def _later(self, delay_s: float) -> None:
        if self.running:
            self._call = self._reactor.callLater(delay_s, self._begin)

    def _begin(self) -> None:
        self._call = None
        self._purging = Deferred.fromCoroutine(self._purge())

    async def _purge(self) -> None:
        now_s, retention, delay_s = self._epoch_s(), self._retention, EVERY_S
        try:
            count = await self._store.write(
                lambda connection: purge(connection, retention, now_s=now_s, limit=LIMIT)
            )
            delay_s = SOON_S if count >= LIMIT else EVERY_S
        except Exception:  # noqa: BLE001 - whatever it is, the next time may be better
            self._log.failure("cannot remove what is over from the store")
        self._purging = None
        self._later(delay_s)
