"""The life of a session, after the greeting.

    OPEN --SUSPEND--> SUSPENDED --RESUME--> OPEN        --CLOSE--> CLOSED      (CLOSE from anywhere)

A suspended session has no link: everything stays open, and what is to be sent waits.
"""

from enum import Enum


class SessionState(Enum):
    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class SessionStep(Enum):
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    CLOSE = "CLOSE"


_AFTER = {
    (SessionState.OPEN, SessionStep.SUSPEND): SessionState.SUSPENDED,
    (SessionState.OPEN, SessionStep.CLOSE): SessionState.CLOSED,
    (SessionState.SUSPENDED, SessionStep.RESUME): SessionState.OPEN,
    (SessionState.SUSPENDED, SessionStep.CLOSE): SessionState.CLOSED,
    (SessionState.CLOSED, SessionStep.CLOSE): SessionState.CLOSED,
}


def after(state: SessionState, step: SessionStep) -> SessionState | None:
    """Return the state after a step, or None if the step is not allowed."""
    return _AFTER.get((state, step))
