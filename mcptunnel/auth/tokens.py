"""Opaque tokens: `mcpt_at_<secret>` and its like; 256 random bits in base62 after a prefix for secret scanners.

What is stored is the SHA-256 of the whole text: nobody can guess it, so a slow hash would only cost us,
and a token of one kind never has the hash of another.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mcptunnel.auth.base62 import SECRET_CHARS, base62

RANDOM_BYTES: Final = 32


class TokenKind(StrEnum):
    """What a token is, as its prefix says."""

    ACCESS = "mcpt_at_"
    REFRESH = "mcpt_rt_"
    CODE = "mcpt_ac_"
    DEVICE_CODE = "mcpt_dc_"
    CLIENT_ID = "mcpt_ci_"
    CLIENT_SECRET = "mcpt_cs_"  # noqa: S105 - a prefix
    SETUP = "mcpt_su_"
    INVITATION = "mcpt_iv_"
    REGISTRATION = "mcpt_ir_"


_FORM: Final = re.compile(
    rf"({'|'.join(kind.value for kind in TokenKind)})[0-9A-Za-z]{{{SECRET_CHARS}}}"
)


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """A token that is well-formed; whether it is known is the store's to say."""

    kind: TokenKind
    hash: bytes = field(repr=False)


def mint(kind: TokenKind, random: bytes) -> str:
    """Return a new token, made from `RANDOM_BYTES` random bytes; ValueError for another number."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random)}")
    return kind.value + base62(int.from_bytes(random, "big"), SECRET_CHARS)


def parse(text: str) -> ParsedToken | None:
    """Return the kind and hash of a token, or None when it cannot be one of ours."""
    match = _FORM.fullmatch(text)
    return None if match is None else ParsedToken(TokenKind(match[1]), hash_token(text))


def hash_token(text: str) -> bytes:
    """Return the SHA-256 of a token's whole text, which is all that is stored of it."""
    return hashlib.sha256(text.encode()).digest()


def matches(text: str, token_hash: bytes) -> bool:
    """Tell, in constant time, whether `token_hash` was stored for this text."""
    return hmac.compare_digest(hash_token(text), token_hash)
