"""What a `Child` wants done: plain facts, in order, for whoever owns the process."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.model import Outcome


class LostCause(StrEnum):
    """Why a call has no answer."""

    EXITED = "exited"
    """The process ended."""
    FAILED = "failed"
    """The server never became usable."""
    BUSY = "busy"
    """Too many calls already wait for the server to become usable."""
    RESTARTED = "restarted"
    """The call was parked, and the process or session that worked on it is gone."""


class Write(Struct, frozen=True):
    """Send the server one message; `line` is without its line end.

    `own` is set for a request whose answers belong to a call or a listen. `is_reply` marks answers to
    pings: a server that does not take them is owed only the last one.
    """

    line: bytes
    own: int | None = None
    is_reply: bool = False


class Dropped(Struct, frozen=True):
    """Nobody waits any more for what the server says about its request `own`."""

    own: int


class Deliver(Struct, frozen=True):
    """Give the caller of `key` a message: any number of notifications, then one response.

    It bears the caller's own id and progress token.
    """

    key: int
    message: Notification | Response


class Lost(Struct, frozen=True):
    """The call of `key` will never be answered; the words are left to who knows the server's name."""

    key: int
    cause: LostCause
    outcome: Outcome


class Ready(Struct, frozen=True):
    """The server can be called. Said once."""

    info: ServerInfo


class ProbeKilled(Struct, frozen=True):
    """The probe spoilt this process: end it, start a fresh one, and do not probe that one.

    `waiting` are the calls that were never written, in order: hand them to the next `Child`.
    """

    waiting: tuple[tuple[int, Request], ...]


class Failed(Struct, frozen=True):
    """The server cannot be used; `reason` is a sentence. Said once."""

    reason: str


class ListsChanged(Struct, frozen=True):
    """One of the server's lists is another one now: of tools, prompts or resources."""


class Junk(Struct, frozen=True):
    """A line that is no JSON-RPC; `sample` is its beginning. Servers print such things."""

    sample: str


Action: TypeAlias = (
    Write | Dropped | Deliver | Lost | Ready | ProbeKilled | Failed | ListsChanged | Junk
)
