"""What a local HTTP server and the talk with it ask of each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import Outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that will not be answered.

    `ask_again` if it must be found out afresh how to talk to the server; `session_lost` if it does
    not know our session any more and so did not look at the call; `list_first` if it wants arguments
    repeated in headers, and its tools have to be listed to know which.
    """

    key: int
    request: Request
    detail: str
    outcome: Outcome
    ask_again: bool = False
    session_lost: bool = False
    list_first: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears what becomes of the calls on a server.

    `session_over` says that it must be found out afresh how to talk to it.
    """

    deliver: Callable[[Deliver], None]
    ended: Callable[[Ended], None]
    lists_changed: Callable[[], None] = lambda: None
    session_over: Callable[[], None] = lambda: None


class Talk(Protocol):
    """What is asked of a local HTTP server, however it wants that (`Calls`, `OldCalls`)."""

    @property
    def agreed(self) -> Agreed: ...

    @property
    def parked_count(self) -> int:
        """How many calls wait for answers of their clients."""

    def begin(self) -> None:
        """Ask for what those who listen want; once, at first."""

    def retire(self) -> None:
        """Listen no more: another conversation with the server does."""

    def call(self, key: int, request: Request, asker: Asker = NOBODY) -> None:
        """Ask a modern request of the server."""

    def cancel(self, key: int, reason: str) -> None:
        """Give up a call; one that is over is ignored."""

    def tick(self, now_s: float) -> None:
        """Let time pass; about once a second."""

    def pause(self, key: int) -> None:
        """Read no more of what belongs to a call, if that can be told apart."""

    def resume(self, key: int) -> None:
        """Read again."""
