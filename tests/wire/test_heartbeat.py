"""When to ask the peer for a sign of life, when to give it up, and how far away it is."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.wire.constants import Role
from mcptunnel.wire.heartbeat import Beat, Heartbeat
from mcptunnel.wire.settings import Settings

SETTINGS = Settings(ping_after_s=20.0, dead_after_s=45.0)


def measured(role: Role = Role.AGENT, settings: Settings = SETTINGS) -> Heartbeat:
    """Return a heartbeat at time 0 whose first PING was answered at once."""
    heartbeat = Heartbeat(role, settings, 0.0)
    assert heartbeat.tick(0.0) is Beat.PING
    heartbeat.pong(heartbeat.token, 0.0)
    return heartbeat


def beats(heartbeat: Heartbeat, until_s: int, start_s: int = 0) -> list[tuple[int, Beat]]:
    """Return what is due in each second."""
    found = [(at_s, heartbeat.tick(float(at_s))) for at_s in range(start_s, until_s)]
    return [(at_s, beat) for at_s, beat in found if beat is not Beat.NOTHING]


@pytest.mark.parametrize("role", Role)
def test_a_quiet_peer_is_asked_then_given_up(role: Role) -> None:
    """PING at once and after 20 s and 40 s, the relay's later; dead after 45 s, and that is said once."""
    heartbeat = measured(role)
    asked_s = [20, 40] if role is Role.AGENT else [25]
    assert beats(heartbeat, 60) == [
        *((at_s, Beat.PING) for at_s in asked_s),
        (45, Beat.SILENT),
    ]
    assert heartbeat.next_tick_s == inf


def test_a_relay_asks_before_it_gives_up() -> None:
    """However close the two times are, its patience leaves room for an answer."""
    heartbeat = measured(Role.RELAY, Settings(ping_after_s=40.0, dead_after_s=44.0))
    assert beats(heartbeat, 60) == [(42, Beat.PING), (44, Beat.SILENT)]


def test_a_message_puts_everything_off() -> None:
    """Whatever comes shows that the peer lives."""
    heartbeat = measured()
    assert heartbeat.next_tick_s == 20.0
    heartbeat.heard(15.0)
    assert heartbeat.next_tick_s == 35.0
    assert heartbeat.tick(20.0) is Beat.NOTHING


def test_the_round_trip_is_measured_under_traffic_as_well() -> None:
    """A link that is never quiet has a PING a minute."""
    heartbeat = measured()
    asked_s = []
    for at_s in range(1, 200):
        if heartbeat.tick(float(at_s)) is Beat.PING:
            asked_s.append(at_s)
            heartbeat.pong(heartbeat.token, at_s + 0.5)
        heartbeat.heard(at_s + 0.5)
    assert asked_s == [60, 120, 180]
    assert heartbeat.round_trip_s == 0.5


def test_a_ping_goes_along_with_an_answer_when_the_last_is_old() -> None:
    """So the side that is only asked knows the time, too, and sends no message for it alone."""
    heartbeat = measured(Role.RELAY)
    heartbeat.heard(20.0)
    assert not heartbeat.asked(20.0)
    heartbeat.heard(40.0)
    assert heartbeat.asked(40.0)
    assert not heartbeat.asked(40.0)
    heartbeat.pong(heartbeat.token, 40.25)
    assert heartbeat.round_trip_s == 0.25


def test_a_peer_can_come_back() -> None:
    """A peer that was given up and is heard again is watched as before."""
    heartbeat = measured()
    assert heartbeat.tick(45.0) is Beat.SILENT
    heartbeat.heard(50.0)
    assert heartbeat.next_tick_s == 60.0  # the minute
    assert heartbeat.tick(95.0) is Beat.SILENT


def test_a_peer_that_sends_and_takes_nothing_is_deaf() -> None:
    """Its own messages do not save it when PING stays without an answer."""
    heartbeat = Heartbeat(Role.AGENT, SETTINGS, 0.0)
    found = []
    for at_s in range(200):
        heartbeat.heard(float(at_s))
        found += [(at_s, heartbeat.tick(float(at_s)))]
        if heartbeat.next_tick_s == inf:
            break
    assert [each for each in found if each[1] is not Beat.NOTHING] == [
        (0, Beat.PING),
        (45, Beat.DEAF),
    ]


def test_a_slow_peer_is_not_deaf() -> None:
    """Behind much that is under way a PONG may take minutes; each new ACK shows that it comes nearer."""
    heartbeat = Heartbeat(Role.AGENT, SETTINGS, 0.0)
    heartbeat.taking(0.0)
    for at_s in range(0, 400, 40):
        heartbeat.heard(float(at_s))
        assert heartbeat.tick(float(at_s)) in {Beat.PING, Beat.NOTHING}
        heartbeat.taking(float(at_s))
    heartbeat.heard(405.0)
    assert heartbeat.tick(405.0) is Beat.DEAF


def test_a_late_answer_shows_that_a_peer_is_slow() -> None:
    """A PONG to a PING before the one that is waited for puts the end off; said again it does not."""
    heartbeat = measured()
    heartbeat.tick(20.0)
    assert heartbeat.tick(40.0) is Beat.PING
    heartbeat.pong(2, 44.0)  # so nothing is waited for, and the answer to 3 is on its way
    heartbeat.heard(60.0)
    assert heartbeat.tick(80.0) is Beat.PING
    found = []
    for at_s in (85.0, 110.0, 129.0, 130.0):
        heartbeat.heard(at_s)
        heartbeat.pong(3, at_s)
        found.append(heartbeat.tick(at_s) is Beat.DEAF)
    assert found == [False, False, False, True]


def test_the_oldest_ping_without_an_answer_is_measured() -> None:
    """Answers to older PINGs, to none, and second ones are not taken for a measurement."""
    heartbeat = Heartbeat(Role.AGENT, SETTINGS, 0.0)
    heartbeat.pong(0, 1.0)
    assert [heartbeat.tick(at_s) for at_s in (1.0, 21.0, 41.0)] == [Beat.PING] * 3
    found = []
    for token, at_s in ((4, 41.5), (1, 41.5), (1, 44.0), (3, 44.0)):
        heartbeat.pong(token, at_s)
        found.append(heartbeat.round_trip_s)
    assert found == [None, 40.5, 40.5, 40.5]


@pytest.mark.parametrize(("token", "round_trip_s"), [(2, None), (3, 0.25)])
def test_of_several_pings_the_peer_may_answer_the_last(
    token: int, round_trip_s: float | None
) -> None:
    """That one is measured; of one between, the time is not known, but the peer is not deaf."""
    heartbeat = Heartbeat(Role.AGENT, SETTINGS, 0.0)
    for at_s in (0.0, 20.0, 40.0):
        assert heartbeat.tick(at_s) is Beat.PING
    heartbeat.heard(40.25)
    heartbeat.pong(token, 40.25)
    assert heartbeat.round_trip_s == round_trip_s
    assert heartbeat.tick(50.0) is Beat.NOTHING


@given(
    st.sampled_from(Role),
    st.lists(st.tuples(st.sampled_from("mpa"), st.floats(0.01, 30)), max_size=40),
)
def test_next_tick_tells_the_truth(role: Role, steps: list[tuple[str, float]]) -> None:
    """Before `next_tick_s` there is nothing to do; at that time there is."""
    heartbeat, now_s = Heartbeat(role, SETTINGS, 0.0), 0.0
    for kind, wait_s in steps:
        due_s = heartbeat.next_tick_s
        if kind != "a":
            now_s = min(now_s + wait_s, due_s)
            heartbeat.heard(now_s)
            if kind == "p":
                heartbeat.pong(heartbeat.token, now_s)
        elif now_s + wait_s < due_s:
            now_s += wait_s
            assert heartbeat.tick(now_s) is Beat.NOTHING
        else:
            now_s = due_s
            assert heartbeat.tick(now_s) is not Beat.NOTHING
