"""Consent that is remembered (threats 1 and 2): for one person, client, redirect URI and resource, and its scopes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from mcptunnel.auth.authorization_request import AuthorizationRequest
from mcptunnel.auth.redirects import stays_here
from mcptunnel.auth.resources import can_be_read
from mcptunnel.auth.scopes import DEFAULT_SCOPE, OFFLINE_ACCESS, READ_SCOPE, in_order, satisfies
from mcptunnel.model import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a person once agreed to."""

    principal: Principal
    client_id: str
    redirect_uri: str
    resource: str
    scopes: frozenset[str]


def consent_to(request: AuthorizationRequest, principal: Principal) -> Consent | None:
    """Return what to remember when a person agrees, or None if they are to be asked every time.

    A loopback redirect or one with a private scheme does not tell who asks (RFC 8252, 8.6).
    """
    if stays_here(request.redirect_uri):
        return None
    return Consent(
        principal=principal,
        client_id=request.client.id,
        redirect_uri=request.redirect_uri,
        resource=request.resource,
        scopes=frozenset(request.scopes),
    )


def is_remembered(
    request: AuthorizationRequest, principal: Principal, consents: Iterable[Consent]
) -> bool:
    """Tell whether a person need not be asked; more scopes than before, or `prompt=consent`, ask again.

    A part of what was agreed to is not more.
    """
    wanted = consent_to(request, principal)
    if wanted is None or "consent" in request.prompt:
        return False
    return any(
        all(satisfies(one.scopes, scope) for scope in wanted.scopes)
        and (one.principal, one.client_id, one.redirect_uri, one.resource)
        == (wanted.principal, wanted.client_id, wanted.redirect_uri, wanted.resource)
        for one in consents
    )


def for_reading(request: AuthorizationRequest) -> AuthorizationRequest | None:
    """Return a request as if it had asked to read and no more, or None where that is no part of it.

    A server may grant less than is asked for, and says so to the client (RFC 6749, 3.3).
    """
    if DEFAULT_SCOPE not in request.scopes or not can_be_read(request.resource):
        return None
    scopes = (READ_SCOPE if scope == DEFAULT_SCOPE else scope for scope in request.scopes)
    return replace(request, scopes=tuple(scopes))


def split_new(
    request: AuthorizationRequest, held: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a client holds, to be shown beside what is new to it, and what is asked for and new.

    If nothing that opens something is new, nothing is held: the person is asked about all of it again.
    """
    new = tuple(scope for scope in request.scopes if not satisfies(held, scope))
    if not held or not any(scope != OFFLINE_ACCESS for scope in new):
        return (), request.scopes
    return in_order(held), new
