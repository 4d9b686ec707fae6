"""Authorization codes: bound, short-lived, used exactly once (RFC 6749, 4.1.2; RFC 9700, 2.1; threats 5 and 7)."""

from dataclasses import dataclass, field, replace

from mcptunnel.auth.authorization_request import AuthorizationRequest
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.grants import FamilyId, Lifetimes
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.pkce import verifies
from mcptunnel.auth.resources import narrowed
from mcptunnel.model import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """A code as a store keeps it. `family` is the id that its grant family will have, or has."""

    hash: bytes = field(repr=False)
    family: FamilyId
    principal: Principal
    client_id: str
    redirect_uri: str
    challenge: str = field(repr=False)
    resource: str
    scopes: tuple[str, ...]
    expires_s: float
    used_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExchange:
    """What an authenticated client presents with a code."""

    client_id: str
    redirect_uri: str | None
    verifier: str | None = field(repr=False)
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class CodeAccepted:
    """Keep `code`, on condition that the stored one is not used yet; then the family may begin.

    When the condition fails somebody was quicker: read the code again, and decide again.
    """

    code: AuthorizationCode
    resource: str


@dataclass(frozen=True, slots=True)
class CodeRefused:
    """Answer `error`. The code stays as it is; `revoke` is the family of a code that was used before."""

    error: OAuthError
    revoke: FamilyId | None = None


def new_code(
    code_hash: bytes,
    family: FamilyId,
    request: AuthorizationRequest,
    principal: Principal,
    *,
    now_s: float,
    lifetimes: Lifetimes,
) -> AuthorizationCode:
    """Return the code that a person's consent makes."""
    return AuthorizationCode(
        hash=code_hash,
        family=family,
        principal=principal,
        client_id=request.client.id,
        redirect_uri=request.redirect_uri,
        challenge=request.challenge,
        resource=request.resource,
        scopes=request.scopes,
        expires_s=now_s + lifetimes.code_s,
    )


def exchange(
    code: AuthorizationCode | None, presented: CodeExchange, *, issuer: Issuer, now_s: float
) -> CodeAccepted | CodeRefused:
    """Decide about a code, which is None when it is unknown.

    Whoever fails a check neither uses up the code nor harms its family: only the client that holds the
    verifier can do that. The redirect URI may be left out, as in OAuth 2.1 (PKCE takes its place).
    """
    if code is None or not _belongs(code, presented):
        return _invalid()
    try:
        resource = narrowed(issuer, code.resource, presented.resource)
    except OAuthError as error:
        return CodeRefused(error)
    if code.used_s is not None:
        return _invalid(revoke=code.family)
    if now_s >= code.expires_s:
        return _invalid()
    return CodeAccepted(replace(code, used_s=now_s), resource)


def _belongs(code: AuthorizationCode, presented: CodeExchange) -> bool:
    return (
        presented.client_id == code.client_id
        and presented.redirect_uri in (None, code.redirect_uri)
        and presented.verifier is not None
        and verifies(presented.verifier, code.challenge)
    )


def _invalid(revoke: FamilyId | None = None) -> CodeRefused:
    error = OAuthError(ErrorCode.INVALID_GRANT, "The code is not valid for this request")
    return CodeRefused(error, revoke)
