"""Opaque tokens: form, hash, comparison."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth import tokens
from mcptunnel.auth.tokens import TokenKind

_RANDOM = st.binary(min_size=tokens.RANDOM_BYTES, max_size=tokens.RANDOM_BYTES)
_GOLDEN = "mcpt_at_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf"


def test_the_form_never_changes() -> None:
    """A golden token: those that clients hold must go on working."""
    text = tokens.mint(TokenKind.ACCESS, bytes(range(32)))
    assert text == _GOLDEN
    assert tokens.hash_token(text).hex().startswith("1fa1474578a01147")


@given(st.sampled_from(TokenKind), _RANDOM, _RANDOM)
def test_what_was_minted_is_parsed(kind: TokenKind, one: bytes, other: bytes) -> None:
    """All 256 bits count, and the hash of the text finds the token."""
    text, second = tokens.mint(kind, one), tokens.mint(kind, other)
    parsed = tokens.parse(text)
    assert parsed is not None
    assert (parsed.kind, parsed.hash) == (kind, tokens.hash_token(text))
    assert tokens.matches(text, parsed.hash)
    assert tokens.matches(second, parsed.hash) == (one == other)


def test_kinds_never_share_a_hash() -> None:
    """A refresh token is no access token, whatever its random part."""
    hashes = {tokens.hash_token(tokens.mint(kind, bytes(32))) for kind in TokenKind}
    assert len(hashes) == len(TokenKind)


@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    assert tokens.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f" {_GOLDEN}",
        f"{_GOLDEN}\n",
        _GOLDEN[:-1],
        _GOLDEN + "0",
        _GOLDEN.upper(),
        "mcpt_ak_aaaqeayeauda_1u8QmlquE1rQpeqoulx6MZVGVGgufeog3UsDEHmrG2p0vk9e5",
    ],
)
def test_almost_a_token(text: str) -> None:
    """Also an API key is no OAuth token."""
    assert tokens.parse(text) is None


def test_a_hash_does_not_show_in_a_repr() -> None:
    parsed = tokens.parse(_GOLDEN)
    assert parsed is not None
    assert repr(parsed.hash) not in repr(parsed)


def test_minting_wants_all_its_random() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        tokens.mint(TokenKind.CODE, bytes(31))
