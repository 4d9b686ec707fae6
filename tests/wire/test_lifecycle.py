"""The life of a session: every state and every step."""

import pytest

from mcptunnel.wire.lifecycle import SessionState, SessionStep, after

ALLOWED = {
    ("opening", "HELLO"): "greeted",
    ("opening", "CLOSE"): "closed",
    ("greeted", "WELCOME"): "open",
    ("greeted", "CLOSE"): "closed",
    ("open", "CLOSE"): "closed",
    ("closed", "CLOSE"): "closed",
}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("step", SessionStep)
def test_every_state_and_step(state: SessionState, step: SessionStep) -> None:
    """HELLO, then WELCOME, each once; closing is possible from anywhere; nothing else is."""
    found = after(state, step)
    assert (found and found.value) == ALLOWED.get((state.value, step.value))
