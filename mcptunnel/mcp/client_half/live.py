"""What a legacy session has under way: of this process alone, while `McpSession` may outlive it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.kept import Kept
from mcptunnel.mcp.client_half.listening import Listening
from mcptunnel.mcp.client_half.session import McpSession, Sessions, name_of
from mcptunnel.mcp.client_half.streams import Streams
from mcptunnel.mcp.client_half.timers import Timers
from mcptunnel.mcp.jsonrpc import RequestId, Response
from mcptunnel.mcp.service import Service

MAX_CALLS: Final = 1000
"""Requests of one session in flight."""

MAX_OPEN_QUESTIONS: Final = 256
"""Questions of one session without an answer."""

_PREFIX_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of an endpoint share."""

    sessions: Sessions
    timers: Timers
    random: Callable[[int], bytes]
    keep_alive: KeepAlive
    streams: Streams
    kept: Kept
    unread: Kept


class InFlight(Protocol):
    """A request of the session that is not over."""

    def cancel(self, reason: str) -> None:
        """Give up on the client's word: there is no answer."""

    def stop(self) -> None:
        """We stop: whatever waits for the client waits no more."""


class Asking(Protocol):
    """Whoever asked the client something."""

    def answered(self, question_id: str, response: Response) -> None:
        """Take the client's answer."""


class Live:
    """The running part of one session; ids of requests are the client's, those of questions ours."""

    __slots__ = (
        "_listening",
        "_name",
        "_numbers",
        "_prefix",
        "calls",
        "questions",
        "service",
        "session",
        "shared",
    )

    def __init__(self, session: McpSession, service: Service, shared: Shared) -> None:
        self.session = session
        self._name = name_of(session.id)
        self.service = service.of_session(self._name)
        self.shared = shared
        self.calls: dict[RequestId, InFlight] = {}
        self.questions: dict[str, Asking] = {}
        self._listening: Listening | None = None
        self._prefix = ""
        self._numbers = 0

    def serve(self, service: Service) -> None:
        """Ask this service from now on: that of the client's latest request."""
        self.service = service.of_session(self._name)

    @property
    def timers(self) -> Timers:
        """Where calls for later go."""
        return self.shared.timers

    @property
    def listening(self) -> Listening:
        """What it hears outside its requests; made when it is needed."""
        if self._listening is None:
            self._listening = Listening(self)
        return self._listening

    @property
    def has_stream(self) -> bool:
        """Whether its event stream is open."""
        return self._listening is not None and self._listening.has_stream

    def resume(self) -> None:
        """Go on with a session that an earlier process may have begun."""
        if self.session.subscriptions:
            self.listening.resume()

    def new_id(self) -> str:
        """Return an id for a request of ours; none is used twice, not even after a restart."""
        if not self._prefix:
            self._prefix = self.shared.random(_PREFIX_BYTES).hex()
        self._numbers += 1
        return f"{self._prefix}.{self._numbers}"

    def change(self, session: McpSession) -> None:
        """Remember something new."""
        self.session = session
        self.shared.sessions.change(session)

    def answered(self, response: Response) -> None:
        """Take a client's answer to a question; one that nobody waits for is passed over."""
        if isinstance(response.id, str):
            asking = self.questions.pop(response.id, None)
            if asking is not None:
                asking.answered(response.id, response)

    def end(self, reason: str) -> None:
        """The session is over."""
        self._end_listening()
        for call in tuple(self.calls.values()):
            call.cancel(reason)

    def stop(self) -> None:
        """We stop, the session may be continued later."""
        self._end_listening()
        for call in tuple(self.calls.values()):
            call.stop()

    def _end_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.end()
