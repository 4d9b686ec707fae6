"""How often one may ask: each address, each client, all together; and how many codes one may guess."""

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.device_grants import MAX_WRONG_CODES, WRONG_CODES_WINDOW_S
from mcptunnel.relay.oauth.limits import (
    ALL_TIMES,
    CLIENT_TIMES,
    MAX_KEYS,
    GuessedCodes,
    Limited,
    RequestLimits,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RequestLimits:
    return RequestLimits(10, clock.seconds)


def test_an_address_has_so_many_and_then_waits(clock: Clock, limits: RequestLimits) -> None:
    waits = [limits.wait_s(Limited.TOKEN, "192.0.2.1") for _ in range(12)]
    assert waits == [0.0] * 10 + [pytest.approx(6.0)] * 2
    assert limits.wait_s(Limited.TOKEN, "192.0.2.2") == 0.0
    assert limits.wait_s(Limited.REVOKE, "192.0.2.1") == 0.0
    clock.advance(6)
    assert limits.wait_s(Limited.TOKEN, "192.0.2.1") == 0.0


def test_a_line_with_ipv6_is_one_address(limits: RequestLimits) -> None:
    for number in range(10):
        assert limits.wait_s(Limited.TOKEN, f"2001:db8::{number}") == 0.0
    assert limits.wait_s(Limited.TOKEN, "2001:db8::ffff") > 0
    assert limits.wait_s(Limited.TOKEN, "2001:db8:0:1::1") == 0.0


def test_many_addresses_together_have_an_end(limits: RequestLimits) -> None:
    count = 10 * ALL_TIMES
    waits = [limits.wait_s(Limited.TOKEN, f"10.0.{n // 250}.{n % 250}") for n in range(count + 1)]
    assert not any(waits[:count])
    assert waits[count] > 0


def test_a_client_may_ask_more_often_than_an_address(limits: RequestLimits) -> None:
    waits = [limits.client_wait_s(Limited.TOKEN, "app") for _ in range(10 * CLIENT_TIMES + 1)]
    assert not any(waits[:-1])
    assert waits[-1] > 0
    assert limits.client_wait_s(Limited.TOKEN, "other") == 0.0


def test_what_lasts_costs_more(limits: RequestLimits) -> None:
    waits = [limits.wait_s(Limited.REGISTER, "192.0.2.1") for _ in range(3)]
    assert waits[:2] == [0.0, 0.0]
    assert waits[2] > 0


def test_so_many_codes_may_be_guessed(clock: Clock) -> None:
    guessed = GuessedCodes(clock.seconds)
    for _ in range(MAX_WRONG_CODES):
        assert guessed.wait_s("alice", "192.0.2.1") == 0
        guessed.was_wrong("alice", "192.0.2.1")
    assert guessed.wait_s("alice") == WRONG_CODES_WINDOW_S
    assert guessed.wait_s("bob", "192.0.2.1") == WRONG_CODES_WINDOW_S
    assert guessed.wait_s("bob", "192.0.2.2") == 0
    clock.advance(WRONG_CODES_WINDOW_S)
    assert guessed.wait_s("alice", "192.0.2.1") == 0


def test_threat_27_the_count_of_guessers_has_a_bound(clock: Clock) -> None:
    guessed = GuessedCodes(clock.seconds)
    for number in range(MAX_KEYS + 5):
        guessed.was_wrong(str(number))
    assert len(guessed) == MAX_KEYS
