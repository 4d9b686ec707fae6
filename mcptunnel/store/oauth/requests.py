"""Authorization requests under way: from /authorize through the sign-in to the consent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mcptunnel.store.clauses import delete_some, from_json, is_full, to_json
from mcptunnel.store.oauth.tables import auth_request
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """A request; it belongs to one browser session, and goes with it.

    `parameters` are what was asked for, checked. `sealed_upstream` is what the caller must know
    when the sign-in provider sends the browser back (nonce, PKCE verifier), sealed by the caller.
    """

    id_hash: bytes = field(repr=False)
    session_id: str
    parameters: Mapping[str, Any]
    sealed_upstream: str | None = field(default=None, repr=False)
    created_s: float
    expires_s: float


class AuthRequests:
    """The requests, seen through one transaction. One that has expired is never returned."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, request: AuthRequest, *, at_most: int) -> None:
        """Store a new request. Where there are `at_most`, the one that ends first gives way.

        So strangers who begin many do not keep everybody else out.
        """
        self._make_room(at_most)
        self._connection.execute(insert(auth_request).values(_values(request)))

    def replace(self, request: AuthRequest, *, at_most: int) -> None:
        """Store a request in place of the one with its id, if there is one; of many at once the last stays."""
        self._make_room(at_most)
        values = _values(request)
        self._connection.execute(
            insert_into(self._connection, auth_request)
            .values(values)
            .on_conflict_do_update(index_elements=["id_hash"], set_=values)
        )

    def find(self, id_hash: bytes, session_id: str, now_s: float) -> AuthRequest | None:
        """Return a request of a session, or None."""
        query = select(auth_request).where(
            auth_request.c.id_hash == id_hash,
            auth_request.c.session_id == session_id,
            auth_request.c.expires_s > now_s,
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _request(row)

    def go_upstream(
        self, id_hash: bytes, session_id: str, *, state_hash: bytes, sealed: str, now_s: float
    ) -> bool:
        """Note the state with which the browser is sent to the sign-in provider.

        A state from before is worth nothing then. False if there is no such request.
        """
        changed = self._connection.execute(
            update(auth_request)
            .where(
                auth_request.c.id_hash == id_hash,
                auth_request.c.session_id == session_id,
                auth_request.c.expires_s > now_s,
            )
            .values(upstream_state_hash=state_hash, sealed_upstream=sealed)
        )
        return changed.rowcount == 1

    def come_back(self, state_hash: bytes, session_id: str, now_s: float) -> AuthRequest | None:
        """Use the state with which the browser came back: one who tries gets the request.

        In another session than the one that left it is not found, and not used up.
        """
        row = self._connection.execute(
            update(auth_request)
            .where(
                auth_request.c.upstream_state_hash == state_hash,
                auth_request.c.session_id == session_id,
                auth_request.c.expires_s > now_s,
            )
            .values(upstream_state_hash=None)
            .returning(auth_request)
        ).one_or_none()
        return None if row is None else _request(row)

    def take(self, id_hash: bytes, session_id: str, now_s: float) -> AuthRequest | None:
        """End a request with a consent or a refusal: of all who try, one gets it."""
        row = self._connection.execute(
            delete(auth_request)
            .where(
                auth_request.c.id_hash == id_hash,
                auth_request.c.session_id == session_id,
                auth_request.c.expires_s > now_s,
            )
            .returning(auth_request)
        ).one_or_none()
        return None if row is None else _request(row)

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were."""
        expired = auth_request.c.expires_s <= now_s
        return delete_some(self._connection, auth_request, expired, limit)

    def _make_room(self, at_most: int) -> None:
        if is_full(self._connection, auth_request, at_most):
            first = select(auth_request.c.id_hash).order_by(auth_request.c.expires_s).limit(1)
            self._connection.execute(delete(auth_request).where(auth_request.c.id_hash.in_(first)))


def _values(request: AuthRequest) -> dict[str, Any]:
    return {
        "id_hash": request.id_hash,
        "session_id": request.session_id,
        "parameters": to_json(request.parameters),
        "sealed_upstream": request.sealed_upstream,
        "created_s": request.created_s,
        "expires_s": request.expires_s,
    }


def _request(row: Row[Any]) -> AuthRequest:
    return AuthRequest(
        id_hash=row.id_hash,
        session_id=row.session_id,
        parameters=from_json(row.parameters),
        sealed_upstream=row.sealed_upstream,
        created_s=row.created_s,
        expires_s=row.expires_s,
    )
