"""What a person sees of a client (threat 3)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.client_display import MAX_SHOWN_CHARS, clean_text, client_display
from mcptunnel.auth.clients import Client, ClientKind

_WEB, _LOCAL, _PRIVATE = "https://app.example/cb", "http://localhost/cb", "cursor://x/cb"


def _client(kind: ClientKind, *uris: str, name: str = "App", client_id: str = "c") -> Client:
    return Client(id=client_id, kind=kind, name=name, redirect_uris=uris)


def test_a_document_is_vouched_for_by_its_host() -> None:
    client = _client(ClientKind.DOCUMENT, _WEB, client_id="https://claude.ai/oauth/x")
    shown = client_display(client, _WEB)
    assert (shown.name, shown.vouched_by, shown.verified) == ("App", "claude.ai", True)
    assert (shown.redirect_to, shown.this_machine, shown.only_this_machine) == (
        "app.example",
        False,
        False,
    )


def test_row_3_a_registered_client_is_unverified_whatever_it_calls_itself() -> None:
    shown = client_display(_client(ClientKind.REGISTERED, _WEB, name="Claude (verified)"), _WEB)
    assert not shown.verified
    assert shown.vouched_by == ""


@pytest.mark.parametrize(
    ("uris", "used", "place", "here", "only"),
    [
        ((_LOCAL,), "http://localhost:5000/cb", "localhost", True, True),
        ((_LOCAL, _PRIVATE), _PRIVATE, "cursor:", True, True),
        ((_LOCAL, _WEB), "http://localhost:5000/cb", "localhost", True, False),
        ((_LOCAL, _WEB), _WEB, "app.example", False, False),
    ],
)
def test_claude_code_and_codex_get_the_warning_for_localhost(
    uris: tuple[str, ...], used: str, place: str, here: bool, only: bool
) -> None:
    """Any program on the machine can pose as a client that listens there (MCP, Localhost Redirect URI)."""
    shown = client_display(_client(ClientKind.DOCUMENT, *uris), used)
    assert (shown.redirect_to, shown.this_machine, shown.only_this_machine) == (place, here, only)


def test_a_client_without_a_name() -> None:
    assert client_display(_client(ClientKind.REGISTERED, _WEB, name=" \u200b"), _WEB).name == (
        "Unnamed application"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Claude", "Claude"),
        ("  two\n\twords ", "two words"),
        ("\u202eedualC", "edualC"),
        ("A\u2066B\u2069C\u200bD\ufeffE", "ABCDE"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("e\u0301", "\xe9"),
        ("z" + "\u0300" * 20, "z\u0300\u0300"),
        ("\U000e0041x", "x"),
        ("a\u2028b", "a b"),
        ("名前", "名前"),
        ("x" * 90, "x" * 79 + "…"),
        (None, ""),
        (1, ""),
    ],
)
def test_row_3_texts_without_tricks(text: object, shown: str) -> None:
    assert clean_text(text, MAX_SHOWN_CHARS) == shown


@given(st.text(st.characters()), st.integers(1, 50))
def test_row_3_any_text_is_one_short_line(text: str, most: int) -> None:
    """No control, format, surrogate or unassigned character, and no second line."""
    shown = clean_text(text, most)
    assert len(shown) <= most
    assert shown == shown.strip()
    assert all(unicodedata.category(char)[0] != "C" for char in shown)
    assert len(shown.splitlines()) <= 1


def test_what_was_not_checked_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not checked"):
        client_display(_client(ClientKind.STATIC, _WEB), "nowhere")
