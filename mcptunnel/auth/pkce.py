"""Proof Key for Code Exchange (RFC 7636), S256 alone: `plain`, which is also what no method means, is refused."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final

from mcptunnel.auth.errors import ErrorCode, OAuthError

METHOD: Final = "S256"
VERIFIER_RANDOM_BYTES: Final = 32

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def required_challenge(challenge: str | None, method: str | None) -> str:
    """Return the challenge of an authorization request. Raises OAuthError `invalid_request` (threat 6)."""
    if challenge is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "A code_challenge is needed (PKCE)")
    if method != METHOD:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The code_challenge_method has to be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The code_challenge is not one of S256")
    return challenge


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def verifies(verifier: str, challenge: str) -> bool:
    """Tell, in constant time, whether a well-formed verifier belongs to a challenge (RFC 7636, 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode())


def new_verifier(random: bytes) -> str:
    """Return a verifier for our own requests from 32 random bytes; ValueError for another number."""
    if len(random) != VERIFIER_RANDOM_BYTES:
        raise ValueError(f"{VERIFIER_RANDOM_BYTES} random bytes are needed, not {len(random)}")
    return urlsafe_b64encode(random).rstrip(b"=").decode()
