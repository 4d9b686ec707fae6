"""Who asks the hub, and what they hold while it answers."""

from typing import Protocol

from msgspec import Raw
from twisted.internet.defer import Deferred

from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification


class Caller(Protocol):
    """Whoever asked: exactly one of `result` and `error` is called, notifications come before."""

    def result(self, result: Raw) -> None: ...

    def error(self, error: JsonRpcError) -> None: ...

    def notification(self, message: Notification) -> None: ...


class Running(Protocol):
    """A request that is being answered."""

    def cancel(self, reason: str) -> None:
        """Give up; the caller hears nothing any more."""

    def hold(self, holding: bool) -> None:
        """Slow down (True) or go on, as the caller's connection allows."""

    def client_gone(self) -> None:
        """Go on, but not for long without a sign of life: nobody waits for the answer."""


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
