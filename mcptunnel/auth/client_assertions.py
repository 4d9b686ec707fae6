"""`private_key_jwt`: a client that signs what it says of itself (RFC 7523, section 3; threat 29)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth import jose
from mcptunnel.auth.jose import JoseError

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME_S: Final = 600.0
_MAX_JTI_CHARS: Final = 255


@dataclass(frozen=True, slots=True)
class AssertionUse:
    """What is to be remembered of an assertion until `forget_s`: one with the same `jti` is a replay."""

    client_id: str
    jti: str
    forget_s: float


def verify_assertion(
    assertion: str,
    *,
    client_id: str,
    key_set: Mapping[str, Any],
    algorithms: Collection[str],
    audiences: Collection[str],
    now_s: float,
) -> AssertionUse:
    """Return the assertion's `jti`. Raises JoseError.

    `audiences` are our token endpoint and our issuer; one of them, byte for byte, is the only `aud`.
    """
    claims = jose.verify(assertion, key_set, algorithms).claims
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise JoseError("The assertion is of another client")
    named = jose.audiences(claims)
    if len(named) != 1 or named[0] not in audiences:
        raise JoseError("The assertion is for another server")
    expires_s = jose.check_times(claims, now_s)
    issued_s = jose.numeric_date(claims, "iat")
    if issued_s is not None and expires_s - issued_s > MAX_LIFETIME_S:
        raise JoseError("The assertion lives too long")
    if expires_s - now_s > MAX_LIFETIME_S + jose.SKEW_S:
        raise JoseError("The assertion lives too long")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_CHARS:
        raise JoseError("The assertion has no jti")
    return AssertionUse(client_id, jti, expires_s + jose.SKEW_S)
