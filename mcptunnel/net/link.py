"""A link: one message-oriented connection between agent and relay, whatever carries it.

Everything above, the tunnel session first, sees only what is in this file.
"""

from dataclasses import dataclass
from typing import Protocol

CLOSE_NORMAL = 1000
CLOSE_UNSUPPORTED_DATA = 1003
CLOSE_INTERNAL_ERROR = 1011

BUFFER_BYTES = 128 * 1024
"""About what a link takes before it says `link_paused`, and what it reads at once."""


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
