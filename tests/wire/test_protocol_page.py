"""The specification says what the code does."""

from pathlib import Path

import pytest

from mcptunnel.mcp.headers import LEGACY_CLIENT
from mcptunnel.wire import constants
from mcptunnel.wire.constants import (
    OPTIONAL_FRAME_TYPES,
    SUBPROTOCOL,
    ErrorCode,
    FrameType,
    Role,
)
from mcptunnel.wire.floods import IDLE_FRAMES, LEAST_CREDIT_BYTES, QUESTIONS, VAIN_STREAMS
from mcptunnel.wire.heartbeat import (
    MEASURE_PINGS,
    MEASURE_WITH_ANSWER_PINGS,
    RELAY_PATIENCE,
)
from mcptunnel.wire.scheduler import _CONTROL_FRAMES_BESIDE, _CONTROL_FRAMES_PER_STREAM
from mcptunnel.wire.settings import Settings
from mcptunnel.wire.streams import _AFTER, HalfState, HalfStep

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "protocol.md").read_text()
LIMITS_PAGE = (REFERENCE / "limits.md").read_text()


def table_after(heading: str) -> list[list[str]]:
    """Return the rows, without the head, of the first table after a line."""
    _, found, rest = PAGE.partition(f"{heading}\n")
    assert found, f"{heading!r} is missing"
    lines = rest[rest.index("\n|") + 1 :].splitlines()
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def test_frame_types() -> None:
    """Every type of the code is on the page, with its number, and no other."""
    shown = {row[1]: int(row[0]) for row in table_after("### Frame types")}
    assert shown == {frame_type.name: frame_type.value for frame_type in FrameType}


def test_error_codes() -> None:
    """Every code with its number and its sentence."""
    shown = [(int(row[0]), row[1], row[2]) for row in table_after("## Error codes")]
    assert shown == [(code.value, code.name, code.sentence) for code in ErrorCode]


def test_the_field_of_a_legacy_clients_calls() -> None:
    """Its name and its value, among the exchanges of the hub."""
    _, _, hub = PAGE.partition("## Exchanges of the hub")
    assert f"`{': '.join(LEGACY_CLIENT)}`" in hub


def test_floods() -> None:
    """What may be asked in vain, at once and a second."""
    shown = [(int(row[1]), int(row[2])) for row in table_after("## Floods")]
    assert shown == [
        (allowance.burst, allowance.per_s) for allowance in (QUESTIONS, VAIN_STREAMS, IDLE_FRAMES)
    ]


def test_the_page_of_limits_says_the_same() -> None:
    """With the same numbers, for people."""
    for allowance in (QUESTIONS, VAIN_STREAMS, IDLE_FRAMES):
        assert f"| {allowance.burst:,} at once, {allowance.per_s:,} a second |" in LIMITS_PAGE
    size = f"| {constants.MAX_MESSAGE_BYTES // 1024} KiB, {constants.MAX_MESSAGE_FRAMES:,} frames |"
    assert size in LIMITS_PAGE
    beside, each = _CONTROL_FRAMES_BESIDE, _CONTROL_FRAMES_PER_STREAM
    assert f"| {beside:,}, and {each} for each of `tunnel.max_streams` |" in LIMITS_PAGE
    assert f"`tunnel.dead_after_s`, {Settings().dead_after_s:g} s;" in LIMITS_PAGE


def test_sizes() -> None:
    """Every limit that a frame can exceed."""
    shown = {row[0]: int(row[1]) for row in table_after("### Sizes")}
    assert shown == {
        name: value for name, value in vars(constants).items() if name.startswith("MAX_")
    }


def test_the_table_of_a_half() -> None:
    """The states and steps of a stream."""
    shown = {
        (row[0], step.value): cell
        for row in table_after("## Streams")
        for step, cell in zip(HalfStep, row[1:], strict=True)
    }
    assert shown == {
        (state.value, step.value): after.value if (after := _AFTER[state].get(step)) else "error"
        for state in HalfState
        for step in HalfStep
    }


@pytest.mark.parametrize(
    "sentence",
    [
        f"the subprotocol `{SUBPROTOCOL}`",
        f"Types {OPTIONAL_FRAME_TYPES.start} to {OPTIONAL_FRAME_TYPES.stop - 1} are the",
        f"received no message for {Settings().ping_after_s:g} s",
        f"The relay should wait {Settings().ping_after_s * RELAY_PATIENCE:g} s",
        f"their last one is {Settings().ping_after_s * MEASURE_PINGS:g} s old",
        f"its last one is {Settings().ping_after_s * MEASURE_WITH_ANSWER_PINGS:g} s old",
        f"received nothing for {Settings().dead_after_s:g} s",
        f"when for {Settings().dead_after_s:g} s a PING has no PONG",
        f"WINDOW with less than {LEAST_CREDIT_BYTES} bytes",
        f"{_CONTROL_FRAMES_BESIDE} frames of the types OPEN, HEAD, RESET, WINDOW and GOAWAY wait",
        f"and {_CONTROL_FRAMES_PER_STREAM} more for each stream",
        f"| {Settings().window_bytes // 1024} KiB (default) |",
        f"{Settings().max_streams} streams of {Settings().window_bytes // 1024} KiB are 64 MiB",
        f"up to about {Settings().message_bytes // 1024} KiB",
    ],
)
def test_numbers_in_sentences(sentence: str) -> None:
    """Defaults that the page mentions in passing."""
    assert sentence in PAGE


def test_who_opens_which_streams() -> None:
    """Odd is the relay's, even the agent's."""
    assert "The relay opens streams with odd ids, the agent with even ids." in PAGE
    assert Role.RELAY.first_stream_id % 2 == 1
    assert Role.AGENT.first_stream_id % 2 == 0
