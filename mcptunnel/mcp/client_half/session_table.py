"""The sessions of legacy clients of one endpoint: kept in memory, bounded, idle ones ended."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcptunnel.mcp.client_half.session import McpSession, new_session_id
from mcptunnel.mcp.service import Asker

IDLE_S: Final = 24 * 3600.0
ID_BYTES: Final = 32

MAX_PER_USER: Final = 1000
"""Sessions that one user may have; applications open one per conversation, and rarely end it."""


@dataclass(slots=True)
class _Kept:
    session: McpSession
    used_s: float


class McpSessions:
    """Every session belongs to the credential that made it; to any other it does not exist.

    It is a `client_half.session.Sessions`.
    """

    def __init__(self, random: Callable[[int], bytes], max_sessions: int) -> None:
        self.when_ended: Callable[[str], None] = _nobody_cares
        self._random = random
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[str, _Kept] = OrderedDict()  # idle the longest first
        self._own: dict[str, OrderedDict[str, None]] = {}  # by principal: ids, in the same order

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        """Whether there is a session of this id, whoever's it is."""
        return session_id in self._sessions

    def new_id(self) -> str:
        """Return an id that cannot be guessed."""
        return new_session_id(self._random(ID_BYTES))

    def add(self, session: McpSession, now_s: float) -> None:
        """Keep a session; those that were idle the longest end when there are too many.

        A user's own go first, so that nobody can drive out the others.
        """
        self._expire(now_s)
        principal = session.asker.principal
        own = self._own.setdefault(principal, OrderedDict())
        if len(own) >= MAX_PER_USER or len(self._sessions) >= self._max_sessions:
            self.end(next(iter(own or self._sessions)))
        self._sessions[session.id] = _Kept(session, now_s)
        self._own.setdefault(principal, own)[session.id] = None

    def get(self, session_id: str, asker: Asker, now_s: float) -> McpSession | None:
        """Return a session of this user and client, and note that it was used."""
        kept = self._sessions.get(session_id)
        if kept is None or kept.session.asker != asker:
            return None
        if now_s - kept.used_s > IDLE_S:
            self.end(session_id)
            return None
        kept.used_s = now_s
        self._sessions.move_to_end(session_id)
        self._own[asker.principal].move_to_end(session_id)
        return kept.session

    def change(self, session: McpSession) -> None:
        """Replace a session by its new value."""
        kept = self._sessions.get(session.id)
        if kept is not None:
            kept.session = session

    def end(self, session_id: str) -> None:
        """Forget a session, if there is one; whoever keeps more of it is told."""
        kept = self._sessions.pop(session_id, None)
        if kept is None:
            return
        principal = kept.session.asker.principal
        own = self._own[principal]
        del own[session_id]
        if not own:
            del self._own[principal]
        self.when_ended(session_id)

    def _expire(self, now_s: float) -> None:
        while self._sessions:
            session_id, kept = next(iter(self._sessions.items()))
            if now_s - kept.used_s <= IDLE_S:
                return
            self.end(session_id)


def _nobody_cares(_session_id: str) -> None:
    """Until somebody sets `when_ended`."""
