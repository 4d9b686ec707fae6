"""The specification says what the code does."""

from pathlib import Path

import pytest

from mcptunnel.wire import constants
from mcptunnel.wire.constants import (
    OPTIONAL_FRAME_TYPES,
    SUBPROTOCOL,
    ErrorCode,
    FrameType,
    Role,
)
from mcptunnel.wire.settings import Settings
from mcptunnel.wire.streams import _AFTER, HalfState, HalfStep

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text()


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
        f"received nothing for {Settings().dead_after_s:g} s",
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
