"""How often one may ask: each address, each client, all together; and how many codes one may guess."""

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.device_grants import MAX_WRONG_CODES, WRONG_CODES_WINDOW_S
from mcptunnel.relay.oauth.limits import (
    ALL_TIMES,
    CLIENT_TIMES,
    MAX_KEYS,
    MAX_PROVED,
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
    count = 10 * CLIENT_TIMES
    waits = [limits.client_wait_s(Limited.TOKEN, "app", "192.0.2.1") for _ in range(count + 1)]
    assert not any(waits[:-1])
    assert waits[-1] > 0
    assert limits.client_wait_s(Limited.TOKEN, "other", "192.0.2.1") == 0.0


def test_threat_13_strangers_keep_nobody_out_where_somebody_proved_who_they_are(
    limits: RequestLimits,
) -> None:
    """Neither by using up what all may ask, nor what a client may; an address of its own limit has it still."""
    known, stranger = "192.0.2.1", "192.0.2.2"
    limits.proved(known)
    for n in range(10 * ALL_TIMES):
        limits.wait_s(Limited.TOKEN, f"10.0.{n // 250}.{n % 250}")
        limits.client_wait_s(Limited.TOKEN, "app", stranger)
    assert limits.wait_s(Limited.TOKEN, stranger) > 0
    assert limits.client_wait_s(Limited.TOKEN, "app", stranger) > 0
    assert limits.client_wait_s(Limited.TOKEN, "app", known) == 0.0
    waits = [limits.wait_s(Limited.TOKEN, known) for _ in range(11)]
    assert not any(waits[:10])
    assert waits[10] > 0


def test_who_proved_who_they_are_counts_for_a_line_with_ipv6(limits: RequestLimits) -> None:
    for n in range(10 * ALL_TIMES):
        limits.wait_s(Limited.TOKEN, f"10.0.{n // 250}.{n % 250}")
    limits.proved("2001:db8::1")
    assert limits.wait_s(Limited.TOKEN, "2001:db8::2") == 0.0
    assert limits.wait_s(Limited.TOKEN, "2001:db8:0:1::1") > 0


def test_threat_27_the_count_of_those_places_has_a_bound(limits: RequestLimits) -> None:
    limits.proved("192.0.2.1")
    for n in range(MAX_PROVED):
        limits.proved(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    for n in range(10 * ALL_TIMES):
        limits.wait_s(Limited.TOKEN, f"172.16.{n // 250}.{n % 250}")
    assert limits.wait_s(Limited.TOKEN, "192.0.2.1") > 0
    assert limits.wait_s(Limited.TOKEN, "10.0.0.0") == 0.0


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
