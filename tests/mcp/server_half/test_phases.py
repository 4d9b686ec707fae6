"""The table of phases, completely."""

import json
from itertools import product

import pytest

from mcptunnel.mcp.server_half.actions import Failed, ProbeKilled, Ready
from mcptunnel.mcp.server_half.child import Child
from mcptunnel.mcp.server_half.phases import TRANSITIONS, Event, Phase
from tests.mcp.server_half.talk import (
    discovered,
    initialized,
    legacy_child,
    new_child,
    others,
    say,
)


def in_phase(phase: Phase) -> Child:
    """A child that got into a phase by the talk that leads there."""
    if phase is Phase.PROBING:
        return new_child()
    if phase is Phase.READY:
        return legacy_child()
    child = new_child(probe=False)
    if phase is Phase.FAILED:
        say(child, id=1, error={"code": -32603, "message": "no"})
    elif phase is Phase.GONE:
        child.exited()
    child.take_actions()
    return child


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_can_be_reached(phase: Phase) -> None:
    assert in_phase(phase).phase is phase


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_every_event_in_every_phase_leads_where_the_table_says(phase: Phase, event: Event) -> None:
    """An event that the table does not name changes nothing."""
    child = in_phase(phase)
    assert child._advance(event) is ((phase, event) in TRANSITIONS)
    assert child.phase is TRANSITIONS.get((phase, event), phase)


def test_nothing_leaves_gone() -> None:
    assert not [phase for phase, _ in TRANSITIONS if phase is Phase.GONE]


INPUTS = {
    "a modern discover answer": {"id": 1, "result": discovered("2026-07-28")},
    "a legacy discover answer": {"id": 1, "result": discovered("2025-11-25")},
    "an error to discover": {"id": 1, "error": {"code": -32601, "message": "?"}},
    "an answer to initialize": {"id": 2, "result": initialized()},
    "an error to initialize": {"id": 2, "error": {"code": -32603, "message": "?"}},
    "a wrong era": {"id": 2, "error": {"code": -32600, "message": "?"}},
}
SAID = {
    (Phase.PROBING, "a modern discover answer"): (Phase.READY, Ready),
    (Phase.PROBING, "a legacy discover answer"): (Phase.INITIALIZING, None),
    (Phase.PROBING, "an error to discover"): (Phase.INITIALIZING, None),
    (Phase.INITIALIZING, "a modern discover answer"): (Phase.READY, Ready),
    (Phase.INITIALIZING, "an answer to initialize"): (Phase.READY, Ready),
    (Phase.INITIALIZING, "an error to initialize"): (Phase.FAILED, Failed),
    (Phase.INITIALIZING, "a wrong era"): (Phase.FAILED, ProbeKilled),
}


def after_a_probe(phase: Phase) -> Child:
    """A probed child: the probe has id 1 and, where it was sent, initialize has id 2."""
    child = new_child()
    if phase is not Phase.PROBING:
        child.tick(3.0)
    if phase is Phase.READY:
        say(child, id=2, result=initialized())
    elif phase is Phase.FAILED:
        child.tick(63.0)
    elif phase is Phase.GONE:
        child.exited()
    child.take_actions()
    assert child.phase is phase
    return child


@pytest.mark.parametrize(("phase", "name"), list(product(Phase, INPUTS)))
def test_every_answer_in_every_phase(phase: Phase, name: str) -> None:
    """Each answer of the handshake has one effect in the phase that waits for it, and none else."""
    child = after_a_probe(phase)
    child.receive_line(json.dumps({"jsonrpc": "2.0", **INPUTS[name]}).encode(), 5.0)
    following, said = SAID.get((phase, name), (phase, None))
    assert child.phase is following
    told = [type(action) for action in others(child.take_actions())]
    assert told == ([] if said is None else [said])


@pytest.mark.parametrize("phase", Phase)
def test_an_exit_in_every_phase_ends_in_gone_and_says_so_once(phase: Phase) -> None:
    child = after_a_probe(phase)
    child.exited()
    child.exited()
    assert child.phase is Phase.GONE
    assert child.next_tick_s is None
    starting = phase in {Phase.PROBING, Phase.INITIALIZING}
    assert child.take_actions() == ([ProbeKilled(())] if starting else [])
