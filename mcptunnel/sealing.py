"""Sealed texts: what we hand out and want back unread and unchanged (cursors, request states, cookies).

AES-256-GCM (RFC 5116) under a key of its own for every purpose, derived with HKDF (RFC 5869), so that
a text sealed for one purpose opens for no other. Nonces and times are arguments.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcptunnel.errors import McpTunnelError

NONCE_BYTES: Final = 12
LEAST_SECRET_BYTES: Final = 32

_EXPIRY: Final = struct.Struct(">Q")
_TAG_BYTES: Final = 16


class SealBrokenError(McpTunnelError):
    """A text that was not sealed here, for this purpose and context, or that has expired."""


class Sealer:
    """Seals and opens texts for one purpose.

    `secret` is at least 32 secret bytes; ValueError for fewer.
    """

    __slots__ = ("_aead",)

    def __init__(self, secret: bytes, purpose: str) -> None:
        if len(secret) < LEAST_SECRET_BYTES:
            raise ValueError(f"The secret needs at least {LEAST_SECRET_BYTES} bytes")
        key = HKDF(SHA256(), 32, None, b"mcptunnel " + purpose.encode()).derive(secret)
        self._aead = AESGCM(key)

    def seal(self, plain: bytes, *, nonce: bytes, expires_s: float, context: bytes = b"") -> str:
        """Return a text of `[A-Za-z0-9_-]` that `open` turns back into `plain`.

        `nonce` is 12 bytes that were never used before with this secret, best random ones. `expires_s`
        is in seconds since the epoch. `context` is not part of the text; `open` must be given the same.
        """
        stamp = _EXPIRY.pack(int(expires_s))
        sealed = self._aead.encrypt(nonce, plain, stamp + context)
        return urlsafe_b64encode(nonce + stamp + sealed).rstrip(b"=").decode()

    def open(self, text: str, *, now_s: float, context: bytes = b"") -> bytes:
        """Return what was sealed. Raises SealBrokenError, which never says what is wrong."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (UnicodeEncodeError, BinasciiError, ValueError):
            raise SealBrokenError("The sealed text is not valid") from None
        stamp = raw[NONCE_BYTES : NONCE_BYTES + _EXPIRY.size]
        if len(raw) < NONCE_BYTES + _EXPIRY.size + _TAG_BYTES:
            raise SealBrokenError("The sealed text is not valid")
        try:
            sealed = raw[NONCE_BYTES + _EXPIRY.size :]
            plain = self._aead.decrypt(raw[:NONCE_BYTES], sealed, stamp + context)
        except InvalidTag:
            raise SealBrokenError("The sealed text is not valid") from None
        if now_s >= _EXPIRY.unpack(stamp)[0]:
            raise SealBrokenError("The sealed text is not valid")
        return plain
