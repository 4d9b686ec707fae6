"""The life of a session: every state and every step."""

import pytest

from mcptunnel.wire.lifecycle import SessionState, SessionStep, after

ALLOWED = {
    ("open", "SUSPEND"): "suspended",
    ("open", "CLOSE"): "closed",
    ("suspended", "RESUME"): "open",
    ("suspended", "CLOSE"): "closed",
    ("closed", "CLOSE"): "closed",
}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("step", SessionStep)
def test_every_state_and_step(state: SessionState, step: SessionStep) -> None:
    """A session is suspended and resumed any number of times; closing is possible from anywhere."""
    found = after(state, step)
    assert (found and found.value) == ALLOWED.get((state.value, step.value))
