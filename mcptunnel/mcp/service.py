"""A modern MCP service as a front of it sees it: requests in, results and notifications out.

The hub is one, and so is each local server on the agent. A front (`mcp.client_half`) speaks to clients
of both eras and asks the service in the modern dialect alone.
"""

from typing import Final, Protocol

from msgspec import Raw, Struct

from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.versions import Era


class Asker(Struct, frozen=True, cache_hash=True):
    """Who asks: a principal and a client of theirs, as text. Nothing of one asker reaches another.

    A legacy client's every session is a client of its own (`client_of_session`).
    `era` is that of the client where it is known: a server of both eras is spoken to in theirs.
    """

    principal: str
    client: str
    era: Era = Era.MODERN


NOBODY: Final = Asker("", "")
"""Who asks when nobody does: the programs themselves, for lists and the like."""


def client_of_session(client: str, session: str) -> str:
    """Return what a legacy session of a client is called, as a client of its own."""
    return f"{client} session:{session}"


class Caller(Protocol):
    """Whoever asked: exactly one of `result` and `error` is called, notifications come before.

    `era` is that of the client whose request it is.
    """

    @property
    def era(self) -> Era: ...

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


class Service(Protocol):
    """Answers requests of the modern dialect, every one of them by itself."""

    def request(self, request: Request, caller: Caller) -> Running | None:
        """Answer, now or later. The caller may hear before this returns; None if it is over then."""

    def of_session(self, session: str) -> "Service":
        """Return the service as one legacy session has it: a client of its own among this client's.

        `session` stands for it for as long as it lasts, and is not its id.
        """
