"""OAuth clients: applications that ask for tokens, however the relay came to know them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from mcptunnel.auth import tokens
from mcptunnel.auth.scopes import CLIENT_SCOPES

MAX_CLIENT_ID_CHARS: Final = 512
_CLIENT_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_CLIENT_ID_CHARS}}}")


class ClientKind(StrEnum):
    """Who vouches for a client's metadata."""

    STATIC = "static"
    """The relay's configuration."""
    REGISTERED = "dcr"
    """Nobody: anyone may register (RFC 7591)."""
    DOCUMENT = "cimd"
    """The host of its client id (Client ID Metadata Documents)."""


class AuthMethod(StrEnum):
    """How a client proves itself at the token endpoint (RFC 7591, section 2)."""

    NONE = "none"
    POST = "client_secret_post"
    BASIC = "client_secret_basic"
    PRIVATE_KEY_JWT = "private_key_jwt"


SECRET_METHODS: Final = frozenset({AuthMethod.POST, AuthMethod.BASIC})


class GrantType(StrEnum):
    """The `grant_type` of a token request."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a grant type
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


CLIENT_GRANTS: Final = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})
"""What a client that nobody has configured may use: device codes invite phishing (RFC 8628, 5.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client. `auth_methods` are those it may use, the one it named first; times are since the epoch."""

    id: str
    kind: ClientKind
    name: str
    redirect_uris: tuple[str, ...]
    auth_methods: tuple[AuthMethod, ...] = (AuthMethod.NONE,)
    grant_types: frozenset[GrantType] = CLIENT_GRANTS
    scopes: frozenset[str] = CLIENT_SCOPES
    secret_hash: bytes | None = field(default=None, repr=False)
    jwks_uri: str | None = None
    jwks: Mapping[str, Any] | None = None
    signing_algorithm: str | None = None
    client_uri: str | None = None

    def has_secret(self, secret: str) -> bool:
        """Tell, in constant time, whether this is the client's secret."""
        return self.secret_hash is not None and tokens.matches(secret, self.secret_hash)

    def may_use(self, grant: GrantType) -> bool:
        """Tell whether the client may ask for tokens in this way."""
        return grant in self.grant_types


def is_client_id(text: str) -> bool:
    """Tell whether a text can be a client's id at all: printable ASCII, and not endless."""
    return _CLIENT_ID.fullmatch(text) is not None
