"""Tokens and ids from chance."""

from mcptunnel.auth.tokens import TokenKind, parse
from tests.relay.oauth.parts import Parts


def test_tokens_are_known_by_their_hash_and_never_shown(parts: Parts) -> None:
    one, other = parts.around.mint(TokenKind.CODE), parts.around.mint(TokenKind.CODE)
    assert one != other
    parsed = parse(one.text)
    assert parsed is not None
    assert parsed.hash == one.hash
    assert one.text not in repr(one)


def test_ids_are_other_ones_each_time(parts: Parts) -> None:
    ids = {parts.around.new_id() for _ in range(10)}
    assert len(ids) == 10
    assert all(len(one) == 32 and ":" not in one for one in ids)
