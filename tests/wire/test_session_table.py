"""Every frame in every situation of a stream and of a session."""

import pytest

from mcptunnel.model import ResponseHead
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.frames import Data, End, Frame, Head, Open, Reset, Window
from mcptunnel.wire.lifecycle import SessionState
from mcptunnel.wire.session import Session
from tests.wire.pairs import REQUEST, joined, message, said
from tests.wire.test_frames import SHOWN

OURS, THEIRS = 2, 1  # of an agent
OK = ResponseHead(200)

SITUATIONS: dict[str, tuple[int, list[Frame]]] = {
    "never opened": (THEIRS, []),
    "ours, no head yet": (OURS, []),
    "ours, body": (OURS, [Head(OURS, OK)]),
    "ours, ended": (OURS, [Head(OURS, OK), End(OURS)]),
    "theirs, body": (THEIRS, [Open(THEIRS, REQUEST)]),
    "theirs, ended": (THEIRS, [Open(THEIRS, REQUEST), End(THEIRS)]),
    "gone": (THEIRS, [Open(THEIRS, REQUEST), Reset(THEIRS, ErrorCode.CANCEL)]),
}

LIVE = [name for name in SITUATIONS if name not in {"never opened", "gone"}]

TAKEN = {
    "OPEN": ["never opened"],
    "HEAD": ["ours, no head yet"],
    "DATA": ["ours, body", "theirs, body"],
    "END": ["ours, body", "theirs, body"],
    "RESET": LIVE,
    "WINDOW": LIVE,
}
"""Where a frame does something. On a stream that is gone all but OPEN are ignored; the rest is an error."""


def frame_named(name: str, stream_id: int) -> Frame:
    frames: dict[str, Frame] = {
        "OPEN": Open(stream_id, REQUEST),
        "HEAD": Head(stream_id, OK),
        "DATA": Data(stream_id, b"x"),
        "END": End(stream_id),
        "RESET": Reset(stream_id, ErrorCode.CANCEL),
        "WINDOW": Window(stream_id, 5000),
    }
    return frames[name]


def agent_in(situation: str) -> tuple[Session, int]:
    """Return an agent's session in a situation, and the stream that it is about."""
    stream_id, came = SITUATIONS[situation]
    _, agent = joined()
    agent.open(REQUEST)
    said(agent)
    for frame in came:
        agent.receive(message(frame), 0.0)
    agent.take_events()
    return agent, stream_id


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", TAKEN)
def test_every_frame_in_every_situation_of_a_stream(situation: str, name: str) -> None:
    """Taken, ignored, or the end of the session."""
    agent, stream_id = agent_in(situation)
    sent = message(frame_named(name, stream_id))
    if situation in TAKEN[name]:
        before = agent.stream_count
        agent.receive(sent, 0.0)
        assert agent.take_events() or name == "WINDOW"
        grown = {"OPEN": 1, "RESET": -1}.get(name, 0)
        assert agent.stream_count == before + grown
    elif situation == "gone" and name != "OPEN":
        agent.receive(sent, 0.0)
        assert agent.take_events() == []
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            agent.receive(sent, 0.0)
        assert caught.value.code is ErrorCode.PROTOCOL_ERROR
        assert agent.state is SessionState.CLOSED


@pytest.mark.parametrize("state", [SessionState.SUSPENDED, SessionState.CLOSED])
@pytest.mark.parametrize("frame", [frame for frame, _ in SHOWN], ids=str)
def test_a_session_without_a_link_hears_nothing(state: SessionState, frame: Frame) -> None:
    """What an old link still brings does not count, whatever it is."""
    agent, _ = agent_in("ours, body")
    if state is SessionState.SUSPENDED:
        agent.suspend()
    else:
        agent.lost()
    agent.take_events()
    streams, count = agent.stream_count, agent.received_count
    agent.receive(message(frame), 1.0)
    assert (agent.take_events(), said(agent)) == ([], [])
    assert (agent.state, agent.stream_count, agent.received_count) == (state, streams, count)
