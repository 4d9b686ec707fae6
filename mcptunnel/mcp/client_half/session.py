"""A legacy client's session with us (2025-11-25, basic/transports, "Session Management")."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Raw

from mcptunnel.mcp.meta import LogLevel
from mcptunnel.mcp.service import Asker

_LEAST_BYTES: Final = 16
_NAME_BYTES: Final = 12
_NAME_PERSON: Final = b"mcp session"


@dataclass(frozen=True, slots=True)
class McpSession:
    """All that must be remembered of a session, for as long as the client uses it.

    `capabilities` is an encoded object: what the client declared, as modern client capabilities.
    `client_info` is what it calls itself, unverified. `log_level` is None until the client sets one.
    `subscriptions` are the URIs it wants to hear of. A session belongs to its asker: to anybody else
    its id means nothing.
    """

    id: str
    asker: Asker
    version: str
    capabilities: Raw
    client_info: Raw | None = None
    log_level: LogLevel | None = None
    subscriptions: tuple[str, ...] = ()


class Sessions(Protocol):
    """Where sessions are kept; it decides how many there may be, and for how long.

    `when_ended` is called with the id of each session that ends, however that came; `is_open` tells
    whether a session is in use without any request: its event stream is open.
    """

    when_ended: Callable[[str], None]
    is_open: Callable[[str], bool]

    def new_id(self) -> str:
        """Return an id that cannot be guessed (`new_session_id`)."""

    def add(self, session: McpSession, now_s: float) -> None:
        """Keep a new session."""

    def get(self, session_id: str, asker: Asker, now_s: float) -> McpSession | None:
        """Return a session of this asker, and note that it was used; None if there is none."""

    def change(self, session: McpSession) -> None:
        """Replace a session by its new value; one that has ended stays so."""

    def end(self, session_id: str) -> None:
        """Forget a session, if there is one."""

    def end_those(self, whose: Callable[[Asker], bool]) -> None:
        """Forget all sessions of some askers."""


def name_of(session_id: str) -> str:
    """Return what a session is called towards servers, always the same; its id cannot be told from it."""
    encoded = session_id.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(encoded, digest_size=_NAME_BYTES, person=_NAME_PERSON).hexdigest()


def new_session_id(random_bytes: bytes) -> str:
    """Return a session id of visible ASCII made of secret random bytes.

    Raises ValueError for fewer than 16: an id must not be guessable.
    """
    if len(random_bytes) < _LEAST_BYTES:
        raise ValueError(f"A session id needs at least {_LEAST_BYTES} random bytes")
    return urlsafe_b64encode(random_bytes).rstrip(b"=").decode()
