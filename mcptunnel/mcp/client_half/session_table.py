"""The sessions of legacy clients of one endpoint: in memory and, if asked, in a store; bounded, idle ones ended."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import eq
from typing import Final, Protocol

from mcptunnel.mcp.client_half.session import McpSession, new_session_id
from mcptunnel.mcp.service import Asker

IDLE_S: Final = 24 * 3600.0
ID_BYTES: Final = 32

MAX_PER_USER: Final = 1000
"""Sessions that one user may have; applications open one per conversation, and rarely end it."""

NOTED_S: Final = 3600.0
"""The store is told of the last use so much later at most: a session may end so much too early."""


class Keeper(Protocol):
    """Hears what a store should keep; sessions are known to it by the hashes of their ids."""

    def keep(self, id_hash: bytes, session: McpSession, used_s: float) -> None:
        """A session is new, or another one now, or was used."""

    def drop(self, id_hash: bytes) -> None:
        """A session has ended."""


@dataclass(slots=True)
class _Kept:
    """A session; its id is "" until its client has come back after a new start."""

    session: McpSession
    used_s: float
    noted_s: float


class McpSessions:
    """Every session belongs to the credential that made it; to any other it does not exist.

    It is a `client_half.session.Sessions`. `keeper` is told of every change. `is_same` tells whether two
    clients of one principal are the same with another credential: then the session is that one's.
    """

    def __init__(
        self,
        random: Callable[[int], bytes],
        max_sessions: int,
        keeper: Keeper | None = None,
        is_same: Callable[[str, str], bool] = eq,
    ) -> None:
        self.when_ended: Callable[[str], None] = _nobody_cares
        self.is_open: Callable[[str], bool] = _is_not
        self._random = random
        self._max_sessions = max_sessions
        self._keeper = keeper
        self._is_same = is_same
        self._sessions: OrderedDict[bytes, _Kept] = OrderedDict()  # idle the longest first
        self._own: dict[str, OrderedDict[bytes, None]] = {}  # by principal, in the same order

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        """Whether there is a session of this id, whoever's it is."""
        return hash_of(session_id) in self._sessions

    def new_id(self) -> str:
        """Return an id that cannot be guessed."""
        return new_session_id(self._random(ID_BYTES))

    def restore(self, sessions: Iterable[tuple[bytes, McpSession, float]]) -> None:
        """Take in the sessions that the store knows, by the hashes of their ids: the oldest first."""
        for id_hash, session, used_s in sessions:
            self._make_room(session.asker.principal, used_s)
            self._put(id_hash, _Kept(session, used_s, used_s))

    def add(self, session: McpSession, now_s: float) -> None:
        """Keep a session; those that were idle the longest end when there are too many.

        A user's own go first, so that nobody can drive out the others.
        """
        self._expire(now_s)
        self._make_room(session.asker.principal, now_s)
        id_hash = hash_of(session.id)
        self._put(id_hash, _Kept(session, now_s, now_s))
        self._note(id_hash)

    def get(self, session_id: str, asker: Asker, now_s: float) -> McpSession | None:
        """Return a session of this user and client, and note that it was used."""
        id_hash = hash_of(session_id)
        kept = self._sessions.get(id_hash)
        if kept is None or not self._is_whose(kept.session, asker):
            return None
        if now_s - kept.used_s > IDLE_S and not self._is_open(kept):
            self._end(id_hash)
            return None
        if not kept.session.id:
            kept.session = replace(kept.session, id=session_id)
        if kept.session.asker != asker:
            kept.session = replace(kept.session, asker=asker)
            self._note(id_hash)
        self._use(id_hash, kept, now_s)
        return kept.session

    def change(self, session: McpSession) -> None:
        """Replace a session by its new value."""
        id_hash = hash_of(session.id)
        kept = self._sessions.get(id_hash)
        if kept is not None:
            kept.session = session
            self._note(id_hash)

    def end(self, session_id: str) -> None:
        """Forget a session, if there is one; whoever keeps more of it is told."""
        self._end(hash_of(session_id))

    def end_those(self, whose: Callable[[Asker], bool]) -> None:
        """Forget all sessions of some askers."""
        for id_hash, kept in tuple(self._sessions.items()):
            if whose(kept.session.asker):
                self._end(id_hash)

    # The parts.

    def _is_whose(self, session: McpSession, asker: Asker) -> bool:
        owner = session.asker
        return owner == asker or (
            owner.principal == asker.principal and self._is_same(owner.client, asker.client)
        )

    def _put(self, id_hash: bytes, kept: _Kept) -> None:
        self._sessions[id_hash] = kept
        self._own.setdefault(kept.session.asker.principal, OrderedDict())[id_hash] = None

    def _use(self, id_hash: bytes, kept: _Kept, now_s: float) -> None:
        kept.used_s = now_s
        self._sessions.move_to_end(id_hash)
        self._own[kept.session.asker.principal].move_to_end(id_hash)
        if now_s - kept.noted_s >= NOTED_S:
            self._note(id_hash)

    def _note(self, id_hash: bytes) -> None:
        kept = self._sessions[id_hash]
        kept.noted_s = kept.used_s
        if self._keeper is not None:
            self._keeper.keep(id_hash, kept.session, kept.used_s)

    def _end(self, id_hash: bytes) -> None:
        kept = self._sessions.pop(id_hash, None)
        if kept is None:
            return
        principal = kept.session.asker.principal
        own = self._own[principal]
        del own[id_hash]
        if not own:
            del self._own[principal]
        if self._keeper is not None:
            self._keeper.drop(id_hash)
        if kept.session.id:
            self.when_ended(kept.session.id)

    def _make_room(self, principal: str, now_s: float) -> None:
        own = self._own.get(principal)
        own_count = 0 if own is None else len(own)
        if own_count >= MAX_PER_USER or len(self._sessions) >= self._max_sessions:
            self._end(self._idlest(own or self._sessions, now_s))

    def _idlest(self, among: Iterable[bytes], now_s: float) -> bytes:
        """Return the session idle the longest; one with an open stream only if all have one."""
        ordered = tuple(among)
        for id_hash in ordered:
            kept = self._sessions[id_hash]
            if not self._is_open(kept):
                return id_hash
            self._use(id_hash, kept, now_s)
        return ordered[0]

    def _expire(self, now_s: float) -> None:
        while self._sessions:
            id_hash, kept = next(iter(self._sessions.items()))
            if now_s - kept.used_s <= IDLE_S:
                return
            if self._is_open(kept):
                self._use(id_hash, kept, now_s)
            else:
                self._end(id_hash)

    def _is_open(self, kept: _Kept) -> bool:
        return self.is_open(kept.session.id)


def hash_of(session_id: str) -> bytes:
    """Return what stands for an id wherever it is kept: who reads that cannot use it."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).digest()


def _nobody_cares(_session_id: str) -> None:
    """Until somebody sets `when_ended`."""


def _is_not(_session_id: str) -> bool:
    """Until somebody sets `is_open`."""
    return False
