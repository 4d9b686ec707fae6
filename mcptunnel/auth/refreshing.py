"""Refresh tokens: each works once, and then a little longer (RFC 9700, 4.14.2; threat 8).

    current --presented--> rotated --presented within the grace--> rotated, new tokens all the same
                                   --presented later--> the family is revoked: one of two holders is a thief

Programs make parallel calls, and all of them refresh with the same token; a refusal makes them forget
everything. So a rotated token gives new tokens for `grace_s`, `grace_uses` times.
"""

from dataclasses import dataclass, replace
from enum import Enum

from mcptunnel.auth.clients import Client
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.grants import Family, FamilyId, Issue, Lifetimes, RefreshToken, issue
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.resources import narrowed
from mcptunnel.auth.scopes import narrowed_scopes


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What an authenticated client asks for with a refresh token; None means as before."""

    scope: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Keep `token`, on condition that the stored one is still `before`; then make what `issue` says.

    When the condition fails somebody was quicker: read the token again, and decide again.
    """

    before: RefreshToken
    token: RefreshToken
    issue: Issue


@dataclass(frozen=True, slots=True)
class RefreshRefused:
    """Answer `error`; `revoke` is a family whose token was stolen, which belongs into the audit log."""

    error: OAuthError
    revoke: FamilyId | None = None


class Use(Enum):
    """What presenting a token of a live family is."""

    ROTATION = "rotation"
    GRACE = "grace"
    TOO_OFTEN = "too often"
    REUSE = "reuse"


def use_of(token: RefreshToken, now_s: float, lifetimes: Lifetimes) -> Use:
    """Return what it means that a token is presented now."""
    if token.rotated_s is None:
        return Use.ROTATION
    if now_s - token.rotated_s > lifetimes.grace_s:
        return Use.REUSE
    return Use.GRACE if token.grace_uses < lifetimes.grace_uses else Use.TOO_OFTEN


def refresh(
    token: RefreshToken | None,
    family: Family | None,
    client: Client,
    asked: RefreshRequest,
    *,
    issuer: Issuer,
    now_s: float,
    lifetimes: Lifetimes,
) -> Refreshed | RefreshRefused:
    """Decide about a refresh token and its family, which are None when they are unknown.

    A token of another client is refused without consequences. What is asked for is checked before the
    token changes, so that a mistake costs nothing.
    """
    if token is None or family is None or family.client_id != client.id:
        return _invalid()
    if token.family != family.id or not family.is_live(now_s):
        return _invalid()
    use = use_of(token, now_s, lifetimes)
    if use is Use.REUSE:
        return _invalid(revoke=family.id)
    if use is Use.TOO_OFTEN or now_s >= token.expires_s:
        return _invalid()
    try:
        resource, scopes = _narrowed(issuer, family, asked)
    except OAuthError as error:
        return RefreshRefused(error)
    after = (
        replace(token, rotated_s=now_s)
        if use is Use.ROTATION
        else replace(token, grace_uses=token.grace_uses + 1)
    )
    made = issue(family, client, resource=resource, scopes=scopes, now_s=now_s, lifetimes=lifetimes)
    return Refreshed(token, after, made)


def _narrowed(issuer: Issuer, family: Family, asked: RefreshRequest) -> tuple[str, tuple[str, ...]]:
    scopes = narrowed_scopes(family.scopes, asked.scope)
    if scopes is None:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope was not granted")
    return narrowed(issuer, family.resource, asked.resource), scopes


def _invalid(revoke: FamilyId | None = None) -> RefreshRefused:
    return RefreshRefused(
        OAuthError(ErrorCode.INVALID_GRANT, "The refresh token is not valid"), revoke
    )
