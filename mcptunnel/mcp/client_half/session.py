"""A legacy client's session with us (2025-11-25, basic/transports, "Session Management")."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from msgspec import Raw

from mcptunnel.model import Principal

_LEAST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class McpSession:
    """What a legacy client said in `initialize`, for as long as it uses the session.

    `client` is the client's identifier as the authorization knows it; `client_info` is what it calls
    itself, unverified. `capabilities` is an encoded object. A session belongs to its principal:
    nobody else may use its id.
    """

    id: str
    principal: Principal
    client: str
    version: str
    capabilities: Raw
    client_info: Raw | None = None


def new_session_id(random_bytes: bytes) -> str:
    """Return a session id of visible ASCII made of secret random bytes.

    Raises ValueError for fewer than 16: an id must not be guessable.
    """
    if len(random_bytes) < _LEAST_BYTES:
        raise ValueError(f"A session id needs at least {_LEAST_BYTES} random bytes")
    return urlsafe_b64encode(random_bytes).rstrip(b"=").decode()
