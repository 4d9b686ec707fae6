"""The life of a session.

    OPENING --HELLO--> GREETED --WELCOME--> OPEN --CLOSE--> CLOSED      (CLOSE from anywhere)

The table does not know which side we are: HELLO and WELCOME move both sides alike, the one that sends
and the one that receives.
"""

from enum import Enum


class SessionState(Enum):
    OPENING = "opening"
    GREETED = "greeted"
    OPEN = "open"
    CLOSED = "closed"


class SessionStep(Enum):
    HELLO = "HELLO"
    WELCOME = "WELCOME"
    CLOSE = "CLOSE"


_AFTER = {
    (SessionState.OPENING, SessionStep.HELLO): SessionState.GREETED,
    (SessionState.OPENING, SessionStep.CLOSE): SessionState.CLOSED,
    (SessionState.GREETED, SessionStep.WELCOME): SessionState.OPEN,
    (SessionState.GREETED, SessionStep.CLOSE): SessionState.CLOSED,
    (SessionState.OPEN, SessionStep.CLOSE): SessionState.CLOSED,
    (SessionState.CLOSED, SessionStep.CLOSE): SessionState.CLOSED,
}


def after(state: SessionState, step: SessionStep) -> SessionState | None:
    """Return the state after a step, or None if the step is not allowed."""
    return _AFTER.get((state, step))
