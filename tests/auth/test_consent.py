"""Consent that is remembered (threats 1 and 2)."""

from typing import Any

import pytest

from mcptunnel.auth.consent import consent_to, for_reading, is_remembered, split_new
from tests.auth.requests import ALICE, BOB, R, client, request


def _remembered(**members: Any) -> bool:
    before = consent_to(request(scopes=("mcp", "offline_access")), ALICE)
    assert before is not None
    return is_remembered(request(**members), ALICE, [before])


def test_the_same_or_less_is_remembered() -> None:
    assert _remembered()
    assert _remembered(scopes=("mcp", "offline_access"), state="another")


def test_a_part_of_what_was_agreed_to_is_remembered_and_the_whole_of_a_part_is_not() -> None:
    """Row 2: who agreed to reading is asked before there is more; the other way round there is nothing to ask."""
    assert _remembered(scopes=("mcp:read",))
    less = consent_to(request(scopes=("mcp:read", "offline_access")), ALICE)
    assert less is not None
    assert is_remembered(request(scopes=("mcp:read",)), ALICE, [less])
    assert not is_remembered(request(scopes=("mcp",)), ALICE, [less])
    assert not is_remembered(request(scopes=("mcp:read", "mcp")), ALICE, [less])


def test_a_person_may_give_less_than_is_asked_for() -> None:
    """Where the relay sees what is asked of a server, and where there is more to ask for."""
    less = for_reading(request(scopes=("mcp", "offline_access")))
    assert less is not None
    assert less.scopes == ("mcp:read", "offline_access")
    for whole in (R, f"{R}/sse"):
        assert for_reading(request(resource=whole)) is not None
    assert for_reading(request(scopes=("mcp:read",))) is None
    assert for_reading(request(scopes=("agent",), resource=f"{R}/tunnel")) is None
    assert for_reading(request(resource=f"{R}/servers/x/mcp")) is None
    assert for_reading(request(resource=f"{R}/devices/d/servers/x/mcp")) is None


@pytest.mark.parametrize(
    ("asked", "held", "shown"),
    [
        ("mcp", "", ("", "mcp")),
        ("mcp offline_access", "mcp:read", ("mcp:read", "mcp offline_access")),
        (
            "mcp offline_access",
            "offline_access mcp:read",
            ("mcp:read offline_access", "mcp"),
        ),
        ("mcp", "mcp", ("", "mcp")),
        ("mcp:read", "mcp", ("", "mcp:read")),
        ("mcp offline_access", "mcp", ("", "mcp offline_access")),
    ],
)
def test_what_is_new_is_told_from_what_a_client_has(
    asked: str, held: str, shown: tuple[str, str]
) -> None:
    """If nothing is, a person who is asked all the same sees the whole of it."""
    has, new = split_new(request(scopes=tuple(asked.split())), held.split())
    assert (" ".join(has), " ".join(new)) == shown


@pytest.mark.parametrize(
    "change",
    [
        {"client": client(id="d")},
        {"redirect_uri": "https://app.example/other"},
        {"resource": R},
        {"resource": f"{R}/servers/x/mcp"},
        {"scopes": ("mcp", "agent")},
        {"prompt": frozenset({"consent"})},
    ],
)
def test_row_2_anything_else_is_asked_again(change: dict[str, Any]) -> None:
    assert not _remembered(**change)


def test_row_2_nobody_agrees_for_another() -> None:
    one = consent_to(request(), ALICE)
    assert one is not None
    assert not is_remembered(request(), BOB, [one])
    assert not is_remembered(request(), ALICE, [])


@pytest.mark.parametrize(
    "uri", ["http://localhost:5000/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "cursor://x/cb"]
)
def test_row_2_claude_code_and_cursor_are_asked_every_time(uri: str) -> None:
    """RFC 8252, 8.6: a native client can be posed as."""
    assert consent_to(request(redirect_uri=uri), ALICE) is None
    assert not is_remembered(request(redirect_uri=uri), ALICE, [])
