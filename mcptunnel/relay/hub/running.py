"""A request that waits before it is answered."""

from twisted.internet.defer import Deferred

from mcptunnel.mcp.service import Running


class Waiting:
    """A request that begins to be answered later (`Running`)."""

    def __init__(self) -> None:
        self.until: Deferred[None] | None = None
        self.then: Running | None = None
        self._is_client_gone = False

    def begin(self, running: Running | None) -> None:
        """Note what answers."""
        self.then = running
        if running is not None and self._is_client_gone:
            running.client_gone()

    def cancel(self, reason: str) -> None:
        if self.then is not None:
            self.then.cancel(reason)
        elif self.until is not None:
            self.until.cancel()

    def hold(self, holding: bool) -> None:
        if self.then is not None:
            self.then.hold(holding)

    def client_gone(self) -> None:
        self._is_client_gone = True
        if self.then is not None:
            self.then.client_gone()
