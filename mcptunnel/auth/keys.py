"""API keys: `mcpt_ak_<keyid>_<secret><crc>`.

The prefix is for secret scanners. The key id (60 bits, lower-case base32) finds the record and may
be shown. The secret has 256 bits in base62, so a plain SHA-256 of it is what is stored: nobody can
guess it, and a slow hash would only cost us. The CRC-32 of all before it tells a mistyped key from
an unknown one without the store.
"""

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

from mcptunnel.auth.base62 import SECRET_CHARS, base62
from mcptunnel.model import Principal

KeyId = NewType("KeyId", str)

PREFIX = "mcpt_ak_"
RANDOM_BYTES = 40
"""How many random bytes `mint` takes: 8 for the id, 32 for the secret."""

MAX_LABEL_CHARS = 255

_ID_CHARS = 12
_CRC_CHARS = 6
_FORM = re.compile(
    rf"({PREFIX}([a-z2-7]{{{_ID_CHARS}}})_([0-9A-Za-z]{{{SECRET_CHARS}}}))([0-9A-Za-z]{{{_CRC_CHARS}}})"
)


class Scope(StrEnum):
    """What a key opens; a key has exactly one."""

    AGENT = "agent"
    MCP = "mcp"


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key that is well-formed; whether it is known is the store's to say."""

    id: KeyId
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known about a key; times are seconds since the epoch."""

    id: KeyId
    scope: Scope
    principal: Principal
    name: str
    created_s: float
    last_used_s: float | None = None
    revoked_s: float | None = None

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key opens what `scope` stands for."""
        return self.revoked_s is None and self.scope is scope


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key with its text, which is never seen again."""

    record: KeyRecord
    text: str = field(repr=False)


def mint(random: bytes) -> tuple[KeyId, str]:
    """Return a new key's id and text, made from `RANDOM_BYTES` random bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random)}")
    key_id = KeyId(base64.b32encode(random[:8]).decode().lower()[:_ID_CHARS])
    secret = base62(int.from_bytes(random[8:], "big"), SECRET_CHARS)
    checked = f"{PREFIX}{key_id}_{secret}"
    return key_id, checked + _check(checked)


def parse(text: str) -> ParsedKey | None:
    """Return the parts of a key, or None when it is no key or mistyped."""
    match = _FORM.fullmatch(text)
    if match is None or _check(match[1]) != match[4]:
        return None
    return ParsedKey(KeyId(match[2]), match[3])


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a key's secret, which is all that is stored of it."""
    return hashlib.sha256(secret.encode()).digest()


def matches(key: ParsedKey, secret_hash: bytes) -> bool:
    """Tell, in constant time, whether `secret_hash` was stored for this key's secret."""
    return hmac.compare_digest(hash_secret(key.secret), secret_hash)


def is_label(text: str) -> bool:
    """Tell whether a text can be a user or a key's name: one line that is safe to show."""
    return len(text) <= MAX_LABEL_CHARS and text.isprintable()


def record_to_json(record: KeyRecord) -> dict[str, Any]:
    """Return a record as the JSON object of `/api/v1/keys`."""
    return {
        "id": record.id,
        "scope": record.scope.value,
        "issuer": record.principal.issuer,
        "user": record.principal.subject,
        "name": record.name,
        "created_s": record.created_s,
        "last_used_s": record.last_used_s,
        "revoked_s": record.revoked_s,
    }


def record_from_json(members: Mapping[str, Any]) -> KeyRecord:
    """Return the record that `record_to_json` wrote. Raises `KeyError` or `ValueError`."""
    return KeyRecord(
        id=KeyId(members["id"]),
        scope=Scope(members["scope"]),
        principal=Principal(members["issuer"], members["user"]),
        name=members["name"],
        created_s=members["created_s"],
        last_used_s=members["last_used_s"],
        revoked_s=members["revoked_s"],
    )


def _check(text: str) -> str:
    return base62(zlib.crc32(text.encode()), _CRC_CHARS)
