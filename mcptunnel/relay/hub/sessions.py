"""The sessions of legacy clients at the hub: kept in memory, bounded, idle ones ended."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mcptunnel.mcp.client_half.session import McpSession, new_session_id
from mcptunnel.mcp.jsonrpc import RequestId
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access

IDLE_S: Final = 24 * 3600.0
ID_BYTES: Final = 32

MAX_PER_USER: Final = 1000
"""Sessions that one user may have; applications open one per conversation, and rarely end it."""


@dataclass(slots=True)
class LiveSession:
    """A session, and the calls that its client has in flight, by the client's own ids."""

    session: McpSession
    used_s: float
    calls: dict[RequestId, Callable[[str], None]] = field(default_factory=dict)


class McpSessions:
    """Every session belongs to the credential that made it; to any other it does not exist."""

    def __init__(self, random: Callable[[int], bytes], max_sessions: int) -> None:
        self._random = random
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[str, LiveSession] = OrderedDict()  # idle the longest first
        self._own: dict[Principal, OrderedDict[str, None]] = {}  # ids, in the same order

    def __len__(self) -> int:
        return len(self._sessions)

    def new_id(self) -> str:
        """Return an id that cannot be guessed."""
        return new_session_id(self._random(ID_BYTES))

    def add(self, session: McpSession, now_s: float) -> None:
        """Keep a session; those that were idle the longest end when there are too many.

        A user's own go first, so that nobody can drive out the others.
        """
        self._expire(now_s)
        own = self._own.setdefault(session.principal, OrderedDict())
        if len(own) >= MAX_PER_USER or len(self._sessions) >= self._max_sessions:
            self.end(next(iter(own or self._sessions)))
        self._sessions[session.id] = LiveSession(session, now_s)
        self._own.setdefault(session.principal, own)[session.id] = None

    def get(self, session_id: str, access: Access, now_s: float) -> LiveSession | None:
        """Return a session of this user and client, and note that it was used."""
        live = self._sessions.get(session_id)
        if live is None or not _owns(access, live.session):
            return None
        if now_s - live.used_s > IDLE_S:
            self.end(session_id)
            return None
        live.used_s = now_s
        self._sessions.move_to_end(session_id)
        self._own[access.principal].move_to_end(session_id)
        return live

    def end(self, session_id: str) -> None:
        """Forget a session; its calls in flight are given up."""
        live = self._sessions.pop(session_id, None)
        if live is None:
            return
        own = self._own[live.session.principal]
        del own[session_id]
        if not own:
            del self._own[live.session.principal]
        for cancel in list(live.calls.values()):
            cancel("the session was ended")

    def _expire(self, now_s: float) -> None:
        while self._sessions:
            session_id, live = next(iter(self._sessions.items()))
            if now_s - live.used_s <= IDLE_S:
                return
            self.end(session_id)


def _owns(access: Access, session: McpSession) -> bool:
    return session.principal == access.principal and session.client == access.client
