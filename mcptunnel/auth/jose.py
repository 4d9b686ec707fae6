"""Signed JSON Web Tokens of others, checked with PyJWT: their signature here, their claims by whoever asked.

Asymmetric algorithms alone; the algorithm has to fit the key's type and curve, so that no key is used in
a way it was not made for (RFC 8725, sections 3.1 and 3.2). Keys come from the issuer's key set (RFC 7517)
and from nowhere else: `jwk`, `jku`, `x5c` and `x5u` in a header are not looked at.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWK, PyJWTError
from jwt.api_jws import PyJWS

from mcptunnel.errors import McpTunnelError

_KEY_OF: Final = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
ALGORITHMS: Final = tuple(_KEY_OF)

SKEW_S: Final = 60.0
MAX_TOKEN_CHARS: Final = 16 * 1024
_MOST_TIME: Final = 2**53
"""Beyond it a float is not exact, and far beyond it there is none."""
_MAX_KEYS: Final = 100
_MAX_TRIED: Final = 8
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_CHARS: Final = {"n": 1368, "e": 6}
"""Base64 of 8,192 and of 32 bits: a check is done in the reactor's thread, and a long exponent takes long."""

_JWS: Final = PyJWS(algorithms=ALGORITHMS)


class JoseError(McpTunnelError):
    """A token that cannot be trusted. With `stale_keys`, a newer key set may change that.

    That is so when no key fits, and also when a signature is wrong: some providers call every new key
    by the same name.
    """

    def __init__(self, message: str, *, stale_keys: bool = False) -> None:
        super().__init__(message)
        self.stale_keys = stale_keys


@dataclass(frozen=True, slots=True)
class Verified:
    """The algorithm and the claims of a token whose signature was right."""

    algorithm: str
    claims: Mapping[str, Any]


def verify(token: str, key_set: Mapping[str, Any], algorithms: Collection[str]) -> Verified:
    """Return a token's claims. Raises JoseError unless a key of the set has signed it.

    `key_set` is a parsed JWK set, `algorithms` those of `ALGORITHMS` that the issuer may use.
    """
    header = _header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KEY_OF or algorithm not in algorithms:
        raise JoseError("The token is signed with an algorithm that is not allowed")
    if "crit" in header or "b64" in header:
        raise JoseError("The token has a critical header that is not understood")
    keys = list(_fitting(key_set, algorithm, header.get("kid")))
    if not keys:
        raise JoseError("The key of the token is not known", stale_keys=True)
    for key in keys[:_MAX_TRIED]:
        payload = _payload(token, key, algorithm)
        if payload is not None:
            return Verified(algorithm, _claims(payload))
    raise JoseError("The signature of the token is wrong", stale_keys=True)


def unverified_claim(token: str, name: str) -> str | None:
    """Return a text claim of a token whose signature was not looked at: to find the key to look with."""
    try:
        decoded = _JWS.decode_complete(token, options={"verify_signature": False})
        value = _claims(decoded["payload"]).get(name)
    except (PyJWTError, JoseError, ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a time claim (RFC 7519, section 2), or None if absent. Raises JoseError if it is no number."""
    value = claims.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not -_MOST_TIME < value < _MOST_TIME:  # NaN is not, either
        raise JoseError(f"The claim {name} is not a time")
    return float(value)


def check_times(claims: Mapping[str, Any], now_s: float) -> float:
    """Check `exp`, which is needed, `nbf` and `iat`; return `exp`. Raises JoseError. Clocks may differ by 60 s."""
    expires_s = numeric_date(claims, "exp")
    if expires_s is None:
        raise JoseError("The token has no exp")
    if now_s >= expires_s + SKEW_S:
        raise JoseError("The token has expired")
    for name in ("nbf", "iat"):
        since_s = numeric_date(claims, name)
        if since_s is not None and since_s > now_s + SKEW_S:
            raise JoseError("The token is not valid yet")
    return expires_s


def audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the `aud` claim, which is one text or a list of them. Raises JoseError."""
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
        raise JoseError("The token has no audience")
    return tuple(values)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise JoseError("The token is too large, or no token")
    try:
        return _JWS.get_unverified_header(token)
    except (PyJWTError, ValueError, TypeError, RecursionError):
        raise JoseError("The token is not a signed JWT") from None


def _fitting(key_set: Mapping[str, Any], algorithm: str, kid: object) -> Iterator[PyJWK]:
    """Yield the keys that may have signed: those of the right type, and of the id if there is one."""
    keys = key_set.get("keys")
    for key in keys[:_MAX_KEYS] if isinstance(keys, list) else []:
        if not isinstance(key, dict) or (kid is not None and key.get("kid") != kid):
            continue
        kind, curve = _KEY_OF[algorithm]
        if key.get("kty") != kind or (curve is not None and key.get("crv") != curve):
            continue
        if kind == "RSA" and not _is_quick(key):
            continue
        if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            continue
        public = {name: value for name, value in key.items() if name not in ("d", "p", "q")}
        try:
            built = PyJWK.from_dict(public, algorithm)
        except (PyJWTError, ValueError, TypeError, AttributeError, KeyError):
            continue
        if kind != "RSA" or built.key.key_size >= _LEAST_RSA_BITS:
            yield built


def _is_quick(key: Mapping[str, Any]) -> bool:
    parts = ((key.get(name), most) for name, most in _MOST_RSA_CHARS.items())
    return all(isinstance(part, str) and len(part) <= most for part, most in parts)


def _payload(token: str, key: PyJWK, algorithm: str) -> bytes | None:
    try:
        decoded = _JWS.decode_complete(token, key, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        return None
    return bytes(decoded["payload"])


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        raise JoseError("The claims of the token are not JSON") from None
    if not isinstance(claims, dict):
        raise JoseError("The claims of the token are not an object")
    return claims
