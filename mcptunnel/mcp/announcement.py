"""What an agent tells the relay of its servers: the items of `POST /servers` on the target `@relay`.

`docs/reference/protocol` has it for readers.
"""

from enum import StrEnum

import msgspec


class ServerState(StrEnum):
    """Where a local server stands, as people see it."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


class ServerStatus(msgspec.Struct, frozen=True):
    """One server as its agent describes it.

    `revision` grows whenever the server's catalogue may have changed: a start, a list_changed.
    `era` and `version` are "" until the server has been asked. `state` is a `ServerState`, or a word
    of a later agent's.
    """

    name: str
    kind: str
    state: str
    revision: int
    prefix: str | None = None
    detail: str = ""
    era: str = ""
    version: str = ""
    restarts: int = 0
