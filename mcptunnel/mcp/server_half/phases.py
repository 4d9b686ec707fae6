"""Where a child stands, and the one table of how it moves on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a child stands."""

    PROBING = "probing"
    INITIALIZING = "initializing"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


class Event(StrEnum):
    """What moves a child from phase to phase."""

    FOUND_MODERN = "found modern"
    NOT_MODERN = "not modern"
    INITIALIZED = "initialized"
    REFUSED = "refused"
    EXITED = "exited"


TRANSITIONS: Final[Mapping[tuple[Phase, Event], Phase]] = {
    (Phase.PROBING, Event.FOUND_MODERN): Phase.READY,
    (Phase.PROBING, Event.NOT_MODERN): Phase.INITIALIZING,
    (Phase.PROBING, Event.EXITED): Phase.GONE,
    # A slow start: the probe is answered after we had given up waiting for that.
    (Phase.INITIALIZING, Event.FOUND_MODERN): Phase.READY,
    (Phase.INITIALIZING, Event.INITIALIZED): Phase.READY,
    (Phase.INITIALIZING, Event.REFUSED): Phase.FAILED,
    (Phase.INITIALIZING, Event.EXITED): Phase.GONE,
    (Phase.READY, Event.EXITED): Phase.GONE,
    (Phase.FAILED, Event.EXITED): Phase.GONE,
}
"""Every other event is ignored in its phase."""
