"""What a listen asks for, read and written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import jsonrpc, subscriptions
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.subscriptions import ALIKE, CHANGED, Subscription


def read(wishes: Any) -> Subscription:
    return subscriptions.read({"notifications": jsonrpc.raw(wishes)})


def test_what_is_asked_for() -> None:
    asked = read(
        {
            "toolsListChanged": True,
            "promptsListChanged": False,
            "resourceSubscriptions": ["b", "a", "b"],
            "taskIds": ["an extension's"],
        }
    )
    assert asked == Subscription(frozenset({Kind.TOOL}), ("b", "a"))
    assert not read({})
    assert not read({"toolsListChanged": None, "resourceSubscriptions": None})


@pytest.mark.parametrize(
    "wishes", [None, 1, [], {"toolsListChanged": 1}, {"resourceSubscriptions": [1]}]
)
def test_what_is_malformed(wishes: Any) -> None:
    with pytest.raises(JsonRpcError) as caught:
        read(wishes)
    assert caught.value.code == INVALID_PARAMS


def test_params_without_wishes_are_malformed() -> None:
    with pytest.raises(JsonRpcError, match="needs notifications"):
        subscriptions.read({})


@given(st.frozensets(st.sampled_from(list(CHANGED))), st.lists(st.text(), unique=True))
def test_what_is_written_is_read_again(kinds: frozenset[Kind], uris: list[str]) -> None:
    written = subscriptions.wishes(kinds, uris)
    assert subscriptions.read({"notifications": written}) == Subscription(kinds, tuple(uris))


def test_nothing_is_said_of_what_is_not_wanted() -> None:
    assert bytes(subscriptions.wishes((), ())) == b"{}"


def test_every_list_has_a_notification() -> None:
    """Templates that of resources."""
    assert {kind for kinds in ALIKE.values() for kind in kinds} == set(Kind)
    assert all(kind in ALIKE[CHANGED[kind]] for kind in CHANGED)


def test_what_a_uri_is_part_of_the_nearest_first() -> None:
    assert subscriptions.with_parents("x:/a/b") == ["x:/a/b", "x:/a/", "x:/a", "x:/", "x:"]
    assert subscriptions.with_parents("x") == ["x"]
    assert subscriptions.with_parents("") == [""]
    assert len(subscriptions.with_parents("/" * 500)) <= subscriptions.MAX_PREFIXES + 1
