"""The token of a session: 256 bits, changed at every resume, the one before only as long as needed."""

import os

from mcptunnel.relay.resume_token import ResumeToken


def test_a_token_is_256_random_bits_and_kept_as_a_hash() -> None:
    token = ResumeToken(lambda count: bytes(range(count)))
    told = token.renew(0)
    assert told == bytes(range(32)).hex()
    assert told.encode() not in token._told


def test_only_the_newest_token_counts_once_the_agent_has_shown_it() -> None:
    token = ResumeToken(os.urandom)
    first = token.renew(0)
    assert token.proven(first, 0)
    second = token.renew(0)
    assert token.proven(second, 0)
    assert not token.proven(first, 0)
    assert token.proven(second, 0)


def test_an_agent_that_was_heard_after_its_welcome_has_the_newest_token() -> None:
    """So a stolen one is worth nothing from then on."""
    token = ResumeToken(os.urandom)
    first = token.renew(0)
    assert token.proven(first, 5)
    second = token.renew(5)
    assert token.proven(first, 5)
    assert not token.proven(first, 6)
    assert token.proven(second, 6)


def test_the_one_before_counts_while_the_newest_may_never_have_arrived() -> None:
    """The link broke before WELCOME, perhaps more than once; then the agent has only the old one."""
    token = ResumeToken(os.urandom)
    first = token.renew(0)
    lost = []
    for _ in range(3):
        assert token.proven(first, 0)
        lost.append(token.renew(0))
    assert token.proven(first, 0)
    assert not token.proven(lost[0], 0)
    assert token.proven(lost[-1], 0)
    assert not token.proven(first, 0)


def test_nothing_else_counts() -> None:
    token = ResumeToken(os.urandom)
    assert not token.proven("", 0)
    told = token.renew(0)
    for guess in ("", told[:-1], told + "0", "0" * 64, "\u00e9" * 9):
        assert not token.proven(guess, 0)
        assert not token.proven(guess, 1)
