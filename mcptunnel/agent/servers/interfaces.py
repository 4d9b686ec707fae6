"""What the agent asks of every kind of local server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.calls import CallReceiver
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers
from mcptunnel.net.http1 import ResponseReceiver, Upload

STOP_GRACE_S: Final = 1.0
"""What a child process has to end by itself when its stdin closes, and again after SIGTERM."""

URGENT_GRACE_S: Final = 0.5
"""The same when the agent is to end at once."""


class LocalCall(Protocol):
    """A call under way, for who made it. All of this is harmless when it is over."""

    def cancel(self, reason: str) -> None:
        """Give it up, saying why; the receiver hears nothing any more."""

    def pause(self) -> None:
        """Take no more of its notifications for now, if the server can be held back by the call."""

    def resume(self) -> None:
        """Take more again."""


class UnderWay(Protocol):
    """A request that was sent to a server (`net.http1.Call`)."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...


class Requester(Protocol):
    """What sends requests to a server (`net.http1.Client`)."""

    def request(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | Upload,
        receiver: ResponseReceiver,
    ) -> UnderWay: ...


def _nothing() -> None:
    """For a passage that nobody wants to hear of."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The way to a server that speaks HTTP itself; `headers` are the agent's own for each request.

    `eras` are those of the clients that it is known to serve itself. `takes_query` if a client's query
    may stand behind its URL, which has none. `unreachable` is called when there was no connection.
    """

    client: Requester
    headers: Headers
    eras: frozenset[Era] = frozenset(Era)
    takes_query: bool = True
    unreachable: Callable[[], None] = _nothing


PassageFound: TypeAlias = Callable[[Passage | None], None]


class LocalServer(Protocol):
    """One local MCP server."""

    @property
    def status(self) -> ServerStatus: ...

    def find_passage(self, era: Era, found: PassageFound) -> None:
        """Tell, now or later, where requests of clients of an era can be passed on as they are.

        None if the agent has to speak for the server: it does not serve them, or cannot be asked.
        """

    def start(self) -> None:
        """Start; whatever goes wrong later is in `status`, and is tried again."""

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop and leave nothing running. Open calls fail.

        May be called again while it runs; a shorter grace then counts.
        """

    def end_listens(self) -> None:
        """End all listens with their results: the agent is about to stop."""

    async def restart(self) -> None:
        """Stop and start again, at once. Listens go on."""

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        """Make a call in the modern dialect; the receiver may be called before this returns.

        `asker` is who makes it: nothing of one asker reaches another. `subscriptions/listen` is a
        call that stays open: its notifications come until it is cancelled or the server is stopped.
        """


class IdleServer(LocalServer, Protocol):
    """A local server that knows whether it has anything to do."""

    @property
    def is_idle(self) -> bool: ...
