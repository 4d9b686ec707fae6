"""Guessing is slow, and says nothing."""

from twisted.internet.task import Clock

from mcptunnel.relay.login.throttle import ADDRESS, ALL, MAX_KNOWN, NAME, PAIR, SignInThrottle


def tries(throttle: SignInThrottle, *attempts: tuple[str, str]) -> int:
    """How many of the attempts may be made."""
    return sum(not throttle.wait_s(*one) for one in attempts)


def test_threat_13_one_name_from_one_address() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock.seconds)
    assert tries(throttle, *[("192.0.2.1", "anna")] * 10) == PAIR.burst
    assert throttle.wait_s("192.0.2.1", "ANNA") > 0, "another spelling is no other name"
    assert not throttle.wait_s("192.0.2.1", "bert")
    assert not throttle.wait_s("192.0.2.2", "anna")
    clock.advance(1 / PAIR.per_s)
    assert tries(throttle, *[("192.0.2.1", "anna")] * 10) == 1


def test_threat_13_many_names_from_one_address() -> None:
    throttle = SignInThrottle(Clock().seconds)
    assert tries(throttle, *[("2001:db8::1", f"user{n}") for n in range(50)]) == ADDRESS.burst
    assert throttle.wait_s("2001:db8::ffff", "anna") > 0, "one line has a whole /64"
    assert throttle.wait_s("2001:db8::ffff") > 0
    assert not throttle.wait_s("2001:db8:0:1::1", "anna")


def test_threat_13_one_name_from_many_addresses() -> None:
    throttle = SignInThrottle(Clock().seconds)
    attempts = [(f"192.0.2.{n}", "anna") for n in range(60)]
    assert tries(throttle, *attempts) == NAME.burst
    assert not throttle.wait_s("198.51.100.1", "bert")


def test_threat_13_all_together() -> None:
    throttle = SignInThrottle(Clock().seconds)
    attempts = [(f"192.0.2.{n}", f"user{n}") for n in range(250)]
    assert tries(throttle, *attempts) == ALL.burst


def test_who_signs_in_after_all_begins_anew() -> None:
    throttle = SignInThrottle(Clock().seconds)
    assert tries(throttle, *[("192.0.2.1", "anna")] * 5) == 5
    throttle.succeeded("192.0.2.1", "Anna")
    assert not throttle.wait_s("192.0.2.1", "anna")


def test_threat_13_nobody_is_locked_out_where_they_signed_in_before() -> None:
    """Who knows a name can use up its attempts from other places; its owner still comes in from the usual one."""
    clock = Clock()
    throttle = SignInThrottle(clock.seconds)
    assert not throttle.wait_s("192.0.2.1", "anna")
    throttle.succeeded("192.0.2.1", "Anna")
    attacks = [(f"198.51.100.{n}", "anna") for n in range(60)]
    attacks += [(f"203.0.113.{n}", f"user{n}") for n in range(250)]
    tries(throttle, *attacks)
    assert throttle.wait_s("192.0.2.2", "anna") > 0
    assert throttle.wait_s("192.0.2.1", "bert") > 0
    assert tries(throttle, *[("192.0.2.1", "anna")] * 10) == PAIR.burst, "guessing is as slow there"


def test_threat_27_the_count_of_known_places_has_a_bound() -> None:
    throttle = SignInThrottle(Clock().seconds)
    for number in range(MAX_KNOWN + 1):
        throttle.succeeded("192.0.2.1", f"user{number}")
    tries(throttle, *[(f"192.0.2.{n}", f"other{n}") for n in range(2, 250)])
    assert throttle.wait_s("192.0.2.1", "user0") > 0
    assert not throttle.wait_s("192.0.2.1", f"user{MAX_KNOWN}")


def test_a_long_name_is_no_long_key() -> None:
    throttle = SignInThrottle(Clock().seconds)
    assert not throttle.wait_s("192.0.2.1", "x" * 100_000)
    assert not throttle.wait_s("192.0.2.1", "\ud800")
