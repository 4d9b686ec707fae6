"""Numbers that must agree with each other."""

from mcptunnel.wire.constants import (
    HIGH_WATER_BYTES,
    LOW_WATER_BYTES,
    OPTIONAL_FRAME_TYPES,
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    ErrorCode,
    FrameType,
    Role,
)


def test_the_subprotocol_names_the_version() -> None:
    """A later version is refused in the upgrade already."""
    assert f"mcptunnel.{PROTOCOL_VERSION}" == SUBPROTOCOL


def test_known_types_are_not_optional() -> None:
    """What every implementation of this version knows lies outside the optional range."""
    assert not set(FrameType) & set(OPTIONAL_FRAME_TYPES)


def test_roles_have_ids_of_their_own() -> None:
    """The relay counts odd, the agent even; each is the peer of the other."""
    assert [role.first_stream_id for role in Role] == [1, 2]
    assert [role.peer.peer for role in Role] == list(Role)


def test_every_code_has_its_sentence() -> None:
    """A person can be told what a code means."""
    assert len({code.sentence for code in ErrorCode}) == len(ErrorCode)
    assert ErrorCode.CANCEL.sentence == "The stream is no longer wanted."


def test_marks_are_apart() -> None:
    """A stream must not drain at the byte at which it was full."""
    assert LOW_WATER_BYTES < HIGH_WATER_BYTES
