"""Token families: all that came from one consent lives and ends together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from mcptunnel.model import Principal
from mcptunnel.store.clauses import (
    delete_some,
    is_of,
    is_theirs,
    join_scopes,
    owner,
    principal_of,
    split_scopes,
)
from mcptunnel.store.device_uses import AT_ONCE, used_by
from mcptunnel.store.oauth.tables import access_token, device_grant, refresh_token, token_family

_RENEWABLE_S: Final = (
    select(func.max(refresh_token.c.expires_s))
    .where(refresh_token.c.family_id == token_family.c.id, refresh_token.c.rotated_s.is_(None))
    .scalar_subquery()
    .label("until_s")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A grant: what a user lets a client do.

    `expires_s` is its end whatever is refreshed. `reason` says why it was revoked.
    """

    id: str
    principal: Principal
    client_id: str
    resource: str
    scopes: frozenset[str]
    created_s: float
    last_used_s: float
    expires_s: float
    revoked_s: float | None = None
    reason: str | None = None


class Families:
    """The families, seen through one transaction.

    To revoke one is to end all of its tokens, also those that others issue at that moment:
    a token is looked up together with its family.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, family: Family) -> None:
        """Store a new family."""
        self._connection.execute(
            insert(token_family).values(
                id=family.id,
                client_id=family.client_id,
                resource=family.resource,
                scopes=join_scopes(family.scopes),
                created_s=family.created_s,
                last_used_s=family.last_used_s,
                expires_s=family.expires_s,
                revoked_s=family.revoked_s,
                reason=family.reason,
                **owner(family.principal),
            )
        )

    def find(self, family_id: str) -> Family | None:
        """Return a family, revoked and expired ones included, or None."""
        row = self._connection.execute(
            select(token_family).where(token_family.c.id == family_id)
        ).one_or_none()
        return None if row is None else family_of(row)

    def list(self, now_s: float, principal: Principal | None = None) -> Sequence[Family]:
        """Return the living families of a user, or all, oldest first."""
        query = (
            select(token_family)
            .where(lives(now_s))
            .order_by(token_family.c.created_s, token_family.c.id)
        )
        if principal is not None:
            query = query.where(is_of(token_family, principal))
        return [family_of(row) for row in self._connection.execute(query)]

    def renewable(self, family_ids: Collection[str], now_s: float) -> dict[str, float]:
        """Return until when each of these that lives can be refreshed as things are; 0 if it cannot be."""
        found: dict[str, float] = {}
        asked = list(family_ids)
        for start in range(0, len(asked), AT_ONCE):
            query = select(token_family.c.id, _RENEWABLE_S).where(
                token_family.c.id.in_(asked[start : start + AT_ONCE]), lives(now_s)
            )
            found |= {row.id: row.until_s or 0.0 for row in self._connection.execute(query)}
        return found

    def touch(self, family_id: str, now_s: float) -> None:
        """Remember that a family is in use; an older time never replaces a newer one."""
        self._connection.execute(
            update(token_family)
            .where(token_family.c.id == family_id, token_family.c.last_used_s < now_s)
            .values(last_used_s=now_s)
        )

    def revoke(self, family_id: str, *, now_s: float, reason: str) -> Family | None:
        """End a family; None if there is none, or it was revoked before."""
        revoked = self._revoke(token_family.c.id == family_id, now_s, reason)
        return revoked[0] if revoked else None

    def revoke_all(
        self,
        *,
        principal: Principal | None = None,
        client_id: str | None = None,
        now_s: float,
        reason: str,
    ) -> Sequence[Family]:
        """End the families of a user, of a client, or of both; return those that had not ended.

        Raises ValueError for neither.
        """
        return self._revoke(is_theirs(token_family, principal, client_id), now_s, reason)

    def revoke_device(
        self, principal: Principal, installation_id: str, *, now_s: float, reason: str
    ) -> Sequence[Family]:
        """End the families that an agent's installation used; return those that had not ended."""
        of_device = used_by(principal, installation_id)
        return self._revoke(is_of(token_family, principal) & of_device, now_s, reason)

    def purge(
        self, now_s: float, *, revoked_before_s: float, unused_since_s: float, limit: int
    ) -> int:
        """Delete at most `limit` that expired, were revoked before then, or have no token left.

        Without a token they are kept if they were used since then, for a call may still be under way, or
        if a device used them, whose link may be up: what is open ends as revoked when its family is not
        there. Their tokens go with them. Returns how many families there were.
        """
        family = token_family.c
        over = or_(
            family.expires_s <= now_s,
            family.revoked_s < revoked_before_s,
            and_(
                family.last_used_s < unused_since_s,
                ~exists().where(access_token.c.family_id == family.id),
                ~exists().where(refresh_token.c.family_id == family.id),
                ~exists().where(device_grant.c.family_id == family.id),
            ),
        )
        return delete_some(self._connection, token_family, over, limit)

    def _revoke(self, which: ColumnElement[bool], now_s: float, reason: str) -> Sequence[Family]:
        rows = self._connection.execute(
            update(token_family)
            .where(which, token_family.c.revoked_s.is_(None))
            .values(revoked_s=now_s, reason=reason)
            .returning(token_family)
        )
        return sorted((family_of(row) for row in rows), key=lambda family: family.id)


def lives(now_s: float) -> ColumnElement[bool]:
    """Whether a row of `token_family` is neither revoked nor expired."""
    return and_(token_family.c.revoked_s.is_(None), token_family.c.expires_s > now_s)


def family_of(row: Row[Any]) -> Family:
    """Return the family in a row of `token_family`."""
    return Family(
        id=row.id,
        principal=principal_of(row),
        client_id=row.client_id,
        resource=row.resource,
        scopes=split_scopes(row.scopes),
        created_s=row.created_s,
        last_used_s=row.last_used_s,
        expires_s=row.expires_s,
        revoked_s=row.revoked_s,
        reason=row.reason,
    )
