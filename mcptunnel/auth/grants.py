"""Grant families: everything that came from one consent, and how long it lives.

The records here are what a store keeps. Times are seconds since the epoch; hashes are `tokens.hash_token`'s.
"""

from dataclasses import dataclass, field, replace
from typing import Final, NewType

from mcptunnel.auth.clients import Client, GrantType
from mcptunnel.auth.scopes import OFFLINE_ACCESS
from mcptunnel.model import Principal

FamilyId = NewType("FamilyId", str)

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long codes, tokens and families live, in seconds."""

    code_s: float = 60.0
    access_s: float = 3600.0
    refresh_idle_s: float = 30 * DAY_S
    family_s: float = 90 * DAY_S
    grace_s: float = 60.0
    """A rotated refresh token still works for this long: parallel calls refresh with the same one."""
    grace_uses: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One consent: who agreed, to which client, for which resource and scopes."""

    id: FamilyId
    principal: Principal
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    created_s: float
    expires_s: float
    revoked_s: float | None = None

    def is_live(self, now_s: float) -> bool:
        """Tell whether anything of the family still counts."""
        return self.revoked_s is None and now_s < self.expires_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token for one resource, or for the whole origin."""

    hash: bytes = field(repr=False)
    family: FamilyId
    resource: str
    scopes: tuple[str, ...]
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """current -> rotated (`rotated_s` is set, `grace_uses` counts) -> gone with its family."""

    hash: bytes = field(repr=False)
    family: FamilyId
    expires_s: float
    rotated_s: float | None = None
    grace_uses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What tokens to make now: the caller mints them. Without `refresh_expires_s` there is no refresh token."""

    family: FamilyId
    resource: str
    scopes: tuple[str, ...]
    access_expires_s: float
    refresh_expires_s: float | None


def begin_family(
    family: FamilyId,
    principal: Principal,
    client: Client,
    *,
    resource: str,
    scopes: tuple[str, ...],
    now_s: float,
    lifetimes: Lifetimes,
) -> Family:
    """Return the family of a new consent."""
    return Family(
        id=family,
        principal=principal,
        client_id=client.id,
        resource=resource,
        scopes=scopes,
        created_s=now_s,
        expires_s=now_s + lifetimes.family_s,
    )


def issue(
    family: Family,
    client: Client,
    *,
    resource: str,
    scopes: tuple[str, ...],
    now_s: float,
    lifetimes: Lifetimes,
) -> Issue:
    """Return the tokens to make; none outlives its family.

    There is a refresh token if the client can use one or asked for `offline_access`: clients that
    follow the specification differ in which of the two they do.
    """
    refreshes = client.may_use(GrantType.REFRESH_TOKEN) or OFFLINE_ACCESS in family.scopes
    idle_s = min(now_s + lifetimes.refresh_idle_s, family.expires_s)
    return Issue(
        family=family.id,
        resource=resource,
        scopes=scopes,
        access_expires_s=min(now_s + lifetimes.access_s, family.expires_s),
        refresh_expires_s=idle_s if refreshes else None,
    )


def revoked(family: Family, now_s: float) -> Family:
    """Return the family when it ends: at once, and only once."""
    return family if family.revoked_s is not None else replace(family, revoked_s=now_s)


def token_response(
    issued: Issue, access_token: str, refresh_token: str | None, now_s: float
) -> dict[str, str | int]:
    """Return the members of a token answer (RFC 6749, 5.1), without nulls; the scopes are always said."""
    body: dict[str, str | int] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(issued.access_expires_s - now_s),
        "scope": " ".join(issued.scopes),
    }
    return body if refresh_token is None else body | {"refresh_token": refresh_token}
