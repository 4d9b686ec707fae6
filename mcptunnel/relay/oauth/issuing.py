"""Tokens that are made and kept, and families that end, within one transaction."""

from dataclasses import dataclass

from mcptunnel.auth.clients import Client
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.grants import (
    Family,
    FamilyId,
    Issue,
    Lifetimes,
    issue,
    token_response,
)
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.records import kept_access, kept_family
from mcptunnel.relay.oauth.surroundings import Minted, Surroundings
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens, Successor
from mcptunnel.store.people.users import Users


@dataclass(frozen=True, slots=True)
class NewTokens:
    """Tokens that are given out if the transaction says so."""

    access: Minted
    refresh: Minted

    def answer(self, issued: Issue, now_s: float) -> dict[str, str | int]:
        """Return the members of the answer (RFC 6749, 5.1)."""
        has_refresh = issued.refresh_expires_s is not None
        refresh = self.refresh.text if has_refresh else None
        return token_response(issued, self.access.text, refresh, now_s)


@dataclass(frozen=True, slots=True)
class Given:
    """The members of a token answer."""

    answer: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Refused:
    """The error to answer; `ended` is a family that was revoked by this, whose open work has to end."""

    error: OAuthError
    ended: FamilyId | None = None


def new_tokens(around: Surroundings) -> NewTokens:
    """Return tokens that nobody knows yet."""
    return NewTokens(around.mint(TokenKind.ACCESS), around.mint(TokenKind.REFRESH))


def begin(
    connection: Transaction,
    family: Family,
    client: Client,
    *,
    resource: str,
    tokens: NewTokens,
    lifetimes: Lifetimes,
) -> Given:
    """Keep a family that begins now, with its first tokens, which are for `resource`."""
    now_s = family.created_s
    Families(connection).add(kept_family(family))
    issued = issue(
        family, client, resource=resource, scopes=family.scopes, now_s=now_s, lifetimes=lifetimes
    )
    if issued.refresh_expires_s is not None:
        first = Successor(token_hash=tokens.refresh.hash, expires_s=issued.refresh_expires_s)
        RefreshTokens(connection).add(family.id, first, now_s)
    return give(connection, family, issued, tokens, now_s)


def give(
    connection: Transaction, family: Family, issued: Issue, tokens: NewTokens, now_s: float
) -> Given:
    """Keep an access token whose refresh token is kept already."""
    AccessTokens(connection).add(kept_access(issued, tokens.access.hash, now_s))
    Clients(connection).touch(family.client_id, now_s)
    return Given(tokens.answer(issued, now_s))


def end(
    connection: Transaction, family_id: FamilyId | None, *, now_s: float, reason: str
) -> FamilyId | None:
    """Revoke a family; return its id if that is news."""
    if family_id is None:
        return None
    ended = Families(connection).revoke(family_id, now_s=now_s, reason=reason)
    return None if ended is None else family_id


def may_come_in(connection: Transaction, principal: Principal) -> bool:
    """Tell whether a user is one still: not disabled, and not forgotten."""
    user = Users(connection).find(principal)
    return user is not None and user.disabled_s is None


def invalid_grant(description: str) -> OAuthError:
    """Return the answer to what somebody else used first."""
    return OAuthError(ErrorCode.INVALID_GRANT, description)
