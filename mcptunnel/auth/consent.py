"""Consent that is remembered (threats 1 and 2): for one person, client, redirect URI and resource, and its scopes."""

from collections.abc import Iterable
from dataclasses import dataclass

from mcptunnel.auth.authorization_request import AuthorizationRequest
from mcptunnel.auth.redirects import stays_here
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
    """Tell whether a person need not be asked; more scopes than before, or `prompt=consent`, ask again."""
    wanted = consent_to(request, principal)
    if wanted is None or "consent" in request.prompt:
        return False
    return any(
        one.scopes >= wanted.scopes
        and (one.principal, one.client_id, one.redirect_uri, one.resource)
        == (wanted.principal, wanted.client_id, wanted.redirect_uri, wanted.resource)
        for one in consents
    )
