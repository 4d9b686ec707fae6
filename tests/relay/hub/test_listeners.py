"""How much one user may listen to."""

import pytest

from mcptunnel.relay.hub import listeners
from mcptunnel.relay.hub.listeners import Listeners


@pytest.mark.parametrize(
    ("asked", "room"),
    [(["a", "b", "c", "d"], ["a", "b", "c"]), (["a" * 9, "b", "c"], ["a" * 9, "b"]), ([], [])],
)
def test_the_uris_of_a_user_are_bounded_by_number_and_by_characters(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], room: list[str]
) -> None:
    """With those of the other listens."""
    monkeypatch.setattr(listeners, "MAX_USER_URIS", 5)
    monkeypatch.setattr(listeners, "MAX_USER_CHARS", 12)
    there = Listeners(uri_count=2, char_count=2)
    assert list(there.with_room(asked)) == room
