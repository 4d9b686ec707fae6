"""When to ask the peer for a sign of life, and when to give it up."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.wire.heartbeat import Beat, Heartbeat
from mcptunnel.wire.settings import Settings

SETTINGS = Settings(ping_after_s=20.0, dead_after_s=45.0)


def test_a_quiet_peer_is_asked_then_given_up() -> None:
    """PING after 20 s and 40 s of silence, dead after 45 s, and that is said once."""
    heartbeat = Heartbeat(SETTINGS, 100.0)
    found = [(at_s, heartbeat.tick(float(at_s))) for at_s in range(100, 160)]
    assert [(at_s, beat) for at_s, beat in found if beat is not Beat.NOTHING] == [
        (120, Beat.PING),
        (140, Beat.PING),
        (145, Beat.SILENT),
    ]
    assert heartbeat.next_tick_s == inf


def test_a_message_puts_everything_off() -> None:
    """Whatever comes shows that the peer lives."""
    heartbeat = Heartbeat(SETTINGS, 0.0)
    assert heartbeat.next_tick_s == 20.0
    heartbeat.heard(15.0)
    assert heartbeat.next_tick_s == 35.0
    assert heartbeat.tick(20.0) is Beat.NOTHING


def test_a_peer_can_come_back() -> None:
    """A peer that was given up and is heard again is watched as before."""
    heartbeat = Heartbeat(SETTINGS, 0.0)
    assert heartbeat.tick(45.0) is Beat.SILENT
    heartbeat.heard(50.0)
    assert heartbeat.next_tick_s == 70.0
    assert heartbeat.tick(95.0) is Beat.SILENT


def test_the_round_trip_is_measured_by_the_last_ping() -> None:
    """An answer to an older PING, or to none, is not taken for a measurement."""
    heartbeat = Heartbeat(SETTINGS, 0.0)
    heartbeat.pong(0, 1.0)
    assert heartbeat.round_trip_s is None
    heartbeat.tick(20.0)
    heartbeat.tick(40.0)
    heartbeat.pong(1, 41.0)
    assert heartbeat.round_trip_s is None
    heartbeat.pong(2, 40.25)
    assert heartbeat.round_trip_s == 0.25


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 30)), max_size=40))
def test_next_tick_tells_the_truth(steps: list[tuple[bool, float]]) -> None:
    """Before `next_tick_s` there is nothing to do; at that time there is."""
    heartbeat, now_s = Heartbeat(SETTINGS, 0.0), 0.0
    for is_message, wait_s in steps:
        due_s = heartbeat.next_tick_s
        if is_message:
            now_s = min(now_s + wait_s, due_s)
            heartbeat.heard(now_s)
        elif now_s + wait_s < due_s:
            now_s += wait_s
            assert heartbeat.tick(now_s) is Beat.NOTHING
        else:
            now_s = due_s
            assert heartbeat.tick(now_s) is not Beat.NOTHING
