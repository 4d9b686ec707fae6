"""Scopes as clients send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.scopes import (
    AGENT_SCOPE,
    CLIENT_SCOPES,
    in_order,
    join_scope,
    narrowed_scopes,
    requested_scopes,
    satisfies,
    split_scope,
    step_up,
)


def test_claude_sends_a_space_before_offline_access() -> None:
    """Any white space separates, and the scope of the resource comes with it."""
    assert requested_scopes(" offline_access", CLIENT_SCOPES) == ("mcp", "offline_access")


@pytest.mark.parametrize("text", [None, "", "   ", "openid profile", "mcp:admin"])
def test_no_scope_or_unknown_ones_mean_the_default(text: str | None) -> None:
    """Claude and others ask for what other servers know; they are not refused."""
    assert requested_scopes(text, CLIENT_SCOPES) == ("mcp",)


@given(st.text())
def test_a_client_never_gets_more_than_it_may_ask_for(text: str) -> None:
    """Row 20: above all, no client's token registers an agent."""
    scopes = requested_scopes(f"{text} {AGENT_SCOPE}", CLIENT_SCOPES)
    assert set(scopes) <= CLIENT_SCOPES
    assert {"mcp", "mcp:read"} & set(scopes)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("mcp:read", ("mcp:read",)),
        ("mcp:read offline_access", ("mcp:read", "offline_access")),
        ("mcp:read mcp", ("mcp",)),
        ("mcp offline_access mcp:read", ("mcp", "offline_access")),
    ],
)
def test_what_a_broader_scope_covers_need_not_be_asked_for(
    text: str, asked: tuple[str, ...]
) -> None:
    """Clients ask for the union with what they had, and leave it to us to see what is in what."""
    assert requested_scopes(text, CLIENT_SCOPES) == asked


def test_scopes_are_told_in_one_order() -> None:
    assert in_order(["offline_access", "mcp"]) == ("mcp", "offline_access")
    assert in_order({"offline_access", "agent"}) == ("agent", "offline_access")


def test_the_agents_own_client() -> None:
    assert requested_scopes(None, {"agent", "offline_access"}) == ("agent",)
    assert requested_scopes("offline_access", {"offline_access"}) == ("offline_access",)
    assert requested_scopes("mcp", ()) == ()


def test_scopes_come_once_and_in_order() -> None:
    assert split_scope("b\ta\n b  a") == ("b", "a")
    assert join_scope(("b", "a")) == "b a"
    assert len(split_scope(" ".join(map(str, range(1000))))) == 64


@pytest.mark.parametrize(
    ("granted", "needed", "is_enough"),
    [
        (("mcp",), "mcp", True),
        (("mcp",), "mcp:tools", True),
        (("mcp",), "mcp:tools:call", True),
        (("mcp:tools",), "mcp", False),
        (("mcp",), "mcpx", False),
        (("mcp",), "agent", False),
        ((), "mcp", False),
        (("mcp",), "", False),
    ],
)
def test_a_broader_scope_is_enough(granted: tuple[str, ...], needed: str, is_enough: bool) -> None:
    """Scope hierarchies must be honoured (MCP, Scope Challenge Handling)."""
    assert satisfies(granted, needed) is is_enough


def test_step_up_asks_for_the_union() -> None:
    """What was granted is asked for again, but `offline_access` never stands in a challenge."""
    assert step_up(("mcp:a", "offline_access"), ("mcp:b", "mcp:a")) == ("mcp:a", "mcp:b")


@pytest.mark.parametrize(
    ("granted", "text", "got"),
    [
        ("mcp offline_access", None, "mcp offline_access"),
        ("mcp offline_access", "mcp", "mcp"),
        ("mcp offline_access", "unknown", "mcp offline_access"),
        ("mcp", "mcp:tools", "mcp:tools"),
        ("mcp offline_access", "mcp:read", "mcp:read"),
        ("mcp:read", "mcp", None),
        ("mcp:read offline_access", "mcp:read mcp", None),
        ("mcp:read", "mcp:read", "mcp:read"),
        ("mcp", "agent", None),
        ("mcp", "mcp agent", None),
    ],
)
def test_refreshing_narrows_and_never_widens(
    granted: str, text: str | None, got: str | None
) -> None:
    scopes = narrowed_scopes(granted.split(), text)
    assert scopes == (None if got is None else tuple(got.split()))


def test_mcp_remote_sends_scope_when_it_refreshes() -> None:
    """Also `offline_access`, which it may not have been granted."""
    assert narrowed_scopes(("mcp",), "mcp offline_access") == ("mcp",)
