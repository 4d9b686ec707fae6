"""Words that every floor shares: who asks, what is asked, how it ended."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Header fields in order; names are lower case, values are text without CR, LF and NUL."""

LOCAL_ISSUER = "local"
"""The issuer of principals that no identity provider vouches for (API keys, built-in login)."""


class Principal(Struct, frozen=True, cache_hash=True):
    """A user, as (issuer, value of the user claim); the pair is the identity, never one of them."""

    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.issuer}|{self.subject}"

    @property
    def shown(self) -> str:
        """What people call the user: without the issuer, if that is this relay itself."""
        return self.subject if self.issuer == LOCAL_ISSUER else str(self)


class ExchangeKind(StrEnum):
    """What an exchange is for; set by the opener of the stream, and by the relay alone for calls."""

    HUB = "hub"
    TRANSPARENT = "transparent"
    CONTROL = "control"


class RequestHead(Struct, frozen=True):
    """The head of an exchange's request.

    `target` names the local server, or is a reserved target that starts with `@`. `principal` and
    `client` say who asks, as text; they are for policy and logs on the agent, never credentials. A
    legacy session is a client of its own on paths of the hub.
    """

    target: str
    method: str
    path: str
    headers: Headers = ()
    principal: str = ""
    client: str = ""
    kind: ExchangeKind = ExchangeKind.HUB


class ResponseHead(Struct, frozen=True):
    """The head of an exchange's response: an HTTP status code and header fields."""

    status: int
    headers: Headers = ()


class Outcome(StrEnum):
    """Whether a call that failed may have run.

    `NOT_DELIVERED` is said only when that is certain; a missing acknowledgement proves nothing.
    """

    NOT_DELIVERED = "not_delivered"
    UNKNOWN = "unknown"


def header(headers: Headers, name: str) -> str | None:
    """Return the first value of a header field, or None; `name` is lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None
