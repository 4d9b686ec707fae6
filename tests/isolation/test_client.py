"""The measure is sound: a client notices what is somebody else's."""

import pytest

from tests.isolation.client import MODERN, Client


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("user-07 said user-07-c2-w1", 0),
        ("nobody is named", 0),
        ("user-08", 1),
        ("user-07-c3-w1", 1),
        ("user-07-c2-w1, user-17-c2-w1 and user-07-c1-w1", 2),
    ],
)
def test_other_names_are_noticed(text: str, count: int) -> None:
    """Other users' names, and other clients of the same user."""
    client = Client(1, "", "user-07", 2, MODERN)
    client.look(text)
    assert len(client.foreign) == count
