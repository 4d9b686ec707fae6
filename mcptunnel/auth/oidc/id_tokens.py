"""ID tokens (OpenID Connect Core, 3.1.3.7): what a provider says of a person, believed only after all checks."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

from mcptunnel.auth import jose
from mcptunnel.auth.jose import JoseError
from mcptunnel.auth.oidc.discovery import Provider
from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.providers import VERIFIED_CLAIMS
from mcptunnel.auth.oidc.sign_in import Attempt

MAX_SUBJECT_CHARS: Final = 255

_DIGEST_OF: Final = {
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "ES256": hashlib.sha256,
    "ES384": hashlib.sha384,
    "EdDSA": hashlib.sha512,
}


def verify_id_token(
    id_token: str,
    *,
    provider: Provider,
    key_set: Mapping[str, Any],
    client_id: str,
    attempt: Attempt,
    access_token: str | None,
    now_s: float,
) -> Mapping[str, Any]:
    """Return the claims about a person. Raises SignInError.

    `key_set` comes from the provider's `jwks_uri`. When the attempt is to sign in again, that has to have
    happened after it began.
    """
    try:
        verified = jose.verify(id_token, key_set, provider.algorithms)
        claims = verified.claims
        _check_parties(claims, provider, client_id)
        jose.check_times(claims, now_s)
        if jose.numeric_date(claims, "iat") is None:
            raise JoseError("The token has no iat")
        _check_nonce(claims, attempt)
        _check_access_token(claims, verified.algorithm, access_token)
        if attempt.again:
            _check_signed_in_since(claims, attempt)
    except JoseError as error:
        raise SignInError(
            "The provider's answer cannot be trusted", stale_keys=error.stale_keys
        ) from error
    return claims


def merge_userinfo(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the claims with what the userinfo endpoint adds (Core, 5.3.2). Raises SignInError.

    It has to be about the same person, and the signed claims count where both say something. That an
    address is verified is said of the address beside it, and of no other.
    """
    if userinfo.get("sub") != claims.get("sub"):
        raise SignInError("The provider told of two different people")
    if "email" not in claims:
        claims = {name: value for name, value in claims.items() if name not in VERIFIED_CLAIMS}
    elif userinfo.get("email") != claims["email"]:
        userinfo = {name: value for name, value in userinfo.items() if name not in VERIFIED_CLAIMS}
    return {**userinfo, **claims}


def _check_parties(claims: Mapping[str, Any], provider: Provider, client_id: str) -> None:
    """Check `iss`, `sub`, `aud` and `azp`: for us, and when for others as well, then made for us."""
    if claims.get("iss") not in (provider.issuer, *provider.quirks.issuer_aliases):
        raise JoseError("The token is of another issuer")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
        raise JoseError("The token is about nobody")
    named = jose.audiences(claims)
    if client_id not in named:
        raise JoseError("The token is for another client")
    if (len(named) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise JoseError("The token was made for another client")


def _check_nonce(claims: Mapping[str, Any], attempt: Attempt) -> None:
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(errors="replace"), attempt.nonce.encode()
    ):
        raise JoseError("The token belongs to another sign-in")


def _check_access_token(
    claims: Mapping[str, Any], algorithm: str, access_token: str | None
) -> None:
    """Check `at_hash` if it is there (Core, 3.1.3.8): the left half of the access token's digest."""
    said = claims.get("at_hash")
    if said is None or access_token is None:
        return
    digest = _DIGEST_OF[algorithm](access_token.encode()).digest()
    wanted = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if said != wanted:
        raise JoseError("The token came with another access token")


def _check_signed_in_since(claims: Mapping[str, Any], attempt: Attempt) -> None:
    signed_in_s = jose.numeric_date(claims, "auth_time")
    if signed_in_s is None or signed_in_s < attempt.started_s - jose.SKEW_S:
        raise JoseError("The person did not sign in again")
