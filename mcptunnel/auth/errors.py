"""Refusals that a client is told: a registered code, a sentence, an HTTP status (RFC 6749, 4.1.2.1 and 5.2)."""

import re
from enum import StrEnum
from typing import Final

from mcptunnel.errors import McpTunnelError

_FORBIDDEN: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
MAX_DESCRIPTION_CHARS: Final = 300

NO_SIGN_IN: Final = "no_sign_in"
"""Not OAuth's: what a relay without an authorization server says (404) where one would be."""


class ErrorCode(StrEnum):
    """Codes of RFC 6749, 6750, 7591, 8628, 8707 and OpenID Connect Core 3.1.2.6 that this relay says."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    ACCESS_DENIED = "access_denied"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REQUIRED = "consent_required"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    INVALID_REDIRECT_URI = "invalid_redirect_uri"
    INVALID_CLIENT_METADATA = "invalid_client_metadata"
    AUTHORIZATION_PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a code, no credential
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, no credential
    INSUFFICIENT_SCOPE = "insufficient_scope"


_STATUS: Final = {
    ErrorCode.INVALID_CLIENT: 401,
    ErrorCode.INVALID_TOKEN: 401,
    ErrorCode.INSUFFICIENT_SCOPE: 403,
}


class OAuthError(McpTunnelError):
    """A request that is refused; `str()` is the description, which holds nothing that was presented."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(description)
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status: 401 tells clients to register or sign in again, 400 does not."""
        return _STATUS.get(self.code, 400)

    def body(self) -> dict[str, str]:
        """Return the JSON members of the answer (RFC 6749, 5.2)."""
        return {"error": self.code.value, "error_description": describable(str(self))}


def describable(text: str) -> str:
    """Return a text with only the characters that `error_description` may have, and not too many."""
    return _FORBIDDEN.sub("?", text)[:MAX_DESCRIPTION_CHARS]
