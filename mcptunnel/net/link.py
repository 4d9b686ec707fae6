"""A link: one message-oriented connection between agent and relay, whatever carries it.

Everything above, the tunnel session first, sees only what is in this file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

CLOSE_NORMAL = 1000
CLOSE_UNSUPPORTED_DATA = 1003
CLOSE_INTERNAL_ERROR = 1011

BUFFER_BYTES = 64 * 1024
"""About what a link takes before it says `link_paused`."""


@dataclass(frozen=True, slots=True)
class LinkLost:
    """How a link ended.

    `clean` means that both sides agreed to close it. `code` is the close code (RFC 6455, section
    7.4) of whoever closed first, or None if nobody gave one. `text` is for logs: printable, perhaps
    empty, perhaps the peer's words.
    """

    clean: bool
    code: int | None
    text: str


class Link(Protocol):
    """What a receiver may do with a link. All of it is harmless after the link was lost."""

    @property
    def peer(self) -> str:
        """The peer's address, for logs."""

    def send_message(self, message: bytes) -> None:
        """Send a message whole and in order. Takes it even when paused; the receiver holds back."""

    def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        """Send what was taken, say goodbye and end the link.

        No message is received after this. `link_lost` follows, within seconds even if the peer does
        not answer. At most 123 bytes of `reason` are sent. Raises ValueError for a code that must
        not be sent (RFC 6455, section 7.4.1).
        """

    def abort(self) -> None:
        """Drop the connection and what was not sent yet; `link_lost` follows in a later turn."""


class LinkReceiver(Protocol):
    """What hears of a link. An exception out of any of these is logged and ends the link (1011)."""

    def link_made(self, link: Link) -> None:
        """The link is up. Comes first, and once."""

    def message_received(self, message: bytes) -> None:
        """The peer sent a message."""

    def link_paused(self) -> None:
        """The transport's buffer is full: send no more until `link_resumed`."""

    def link_resumed(self) -> None:
        """The transport's buffer has drained."""

    def link_lost(self, reason: LinkLost) -> None:
        """The link is over. Comes last, and once, paused or not."""


_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where a link is dialled to. `resource` is path and query."""

    is_secure: bool
    host: str
    port: int
    resource: str

    @classmethod
    def parse(cls, url: str) -> "LinkAddress":
        """Read an http, https, ws or wss URL. Raises ValueError; its text never holds the URL."""
        parts = urlsplit(url)
        is_secure = _SCHEMES.get(parts.scheme)
        resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if is_secure is None or not parts.hostname or not re.fullmatch("/[!-~]*", resource):
            raise ValueError("that is no URL of a WebSocket")
        if parts.username is not None:
            raise ValueError("a URL must not carry a credential")
        return cls(is_secure, parts.hostname, parts.port or (443 if is_secure else 80), resource)

    def __str__(self) -> str:
        """Return `host:port`, with brackets around an IPv6 address."""
        return f"{self.host_field}:{self.port}"

    @property
    def host_field(self) -> str:
        """The host as URLs and the Host header have it."""
        return f"[{self.host}]" if ":" in self.host else self.host


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError for a header field that would break an HTTP request (RFC 9110, 5.1, 5.5)."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search("[\r\n\0]", value):
            raise ValueError(f"the header {name!r} cannot be sent")
