"""Frames and the values that make them up."""

from typing import Any

import pytest
from hypothesis import given

from mcptunnel.wire.constants import OPTIONAL_FRAME_TYPES, FrameType
from mcptunnel.wire.fields import FieldError
from mcptunnel.wire.frames import Frame, Hello, Unknown, Welcome
from mcptunnel.wire.layout import fields_of, frame_of
from tests.wire.strategies import frames


@given(frames)
def test_values_make_up_the_same_frame(frame: Frame) -> None:
    """Taking a frame apart and putting it together loses nothing."""
    assert frame_of(fields_of(frame)) == frame


@given(frames)
def test_only_greetings_take_more_fields(frame: Frame) -> None:
    """A later version may append to HELLO and WELCOME; anywhere else more is an error."""
    fields = (*fields_of(frame), "later")
    if isinstance(frame, Hello | Welcome | Unknown):
        assert frame_of(fields) == frame
    else:
        with pytest.raises(FieldError):
            frame_of(fields)


@given(frames)
def test_no_frame_takes_fewer_fields(frame: Frame) -> None:
    """Every prefix of a frame is refused."""
    fields = fields_of(frame)
    for count in range(len(fields)):
        with pytest.raises(FieldError):
            frame_of(fields[:count])


@given(frames)
def test_stream_and_session_frames_do_not_mix(frame: Frame) -> None:
    """A frame about a stream needs an id, a frame about the session needs 0."""
    frame_type, stream_id, *rest = fields_of(frame)
    if isinstance(frame, Unknown):
        return
    with pytest.raises(FieldError):
        frame_of((frame_type, 0 if stream_id else 1, *rest))


@pytest.mark.parametrize(
    "fields",
    [None, 5, "ab", b"\x06\x01", [6, 1], (), (6,), (True, 0), (6.0, 1), ("6", 1), (None, 1)],
)
def test_what_is_no_frame_is_refused(fields: Any) -> None:
    """Anything but an array that starts with an integer type and an id is no frame."""
    with pytest.raises(FieldError):
        frame_of(fields)


@pytest.mark.parametrize("frame_type", [-1, 0, 13, 63, 128, 2**40])
def test_unknown_types_are_refused(frame_type: int) -> None:
    """A type that we do not know is an error."""
    with pytest.raises(FieldError):
        frame_of((frame_type, 1))


@pytest.mark.parametrize("frame_type", [OPTIONAL_FRAME_TYPES.start, OPTIONAL_FRAME_TYPES.stop - 1])
def test_unknown_optional_types_are_noted(frame_type: int) -> None:
    """A type of the optional range is taken, whatever follows."""
    assert frame_of((frame_type, 0, (1, "x"), None)) == Unknown(frame_type, 0)


@pytest.mark.parametrize("stream_id", [-1, None, 2**60, True])
def test_an_optional_frame_needs_a_proper_id(stream_id: object) -> None:
    """Even a frame that is ignored has the form of a frame."""
    with pytest.raises(FieldError):
        frame_of((64, stream_id))


@pytest.mark.parametrize("status", [200.0, True, "200", 199])
def test_a_head_that_was_read_before_vouches_for_no_other(status: object) -> None:
    """Equal to Python is not enough: 200.0 is no status."""
    fields = (("content-type", "application/json"),)
    frame_of((FrameType.HEAD.value, 2, 200, fields))
    with pytest.raises(FieldError):
        frame_of((FrameType.HEAD.value, 2, status, fields))
