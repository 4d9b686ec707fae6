"""Consent that is remembered (threats 1 and 2)."""

from typing import Any

import pytest

from mcptunnel.auth.consent import consent_to, is_remembered
from tests.auth.requests import ALICE, BOB, R, client, request


def _remembered(**members: Any) -> bool:
    before = consent_to(request(scopes=("mcp", "offline_access")), ALICE)
    assert before is not None
    return is_remembered(request(**members), ALICE, [before])


def test_the_same_or_less_is_remembered() -> None:
    assert _remembered()
    assert _remembered(scopes=("mcp", "offline_access"), state="another")


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
