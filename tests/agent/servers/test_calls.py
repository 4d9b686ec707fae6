from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.agent.servers.calls import OpenCalls
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from tests.agent import Caller


def test_a_key_finds_its_caller_once_and_is_never_given_again() -> None:
    calls, first, second = OpenCalls(10.0), Caller(), Caller()
    key = calls.add(first, 0.0)
    assert calls.pop(key) is first
    assert calls.pop(key) is None
    assert calls.add(second, 0.0) != key


def test_calls_are_late_when_their_time_is_over() -> None:
    calls = OpenCalls(10.0)
    early, later = calls.add(Caller(), 0.0), calls.add(Caller(), 5.0)
    assert calls.late(9.9) == []
    assert calls.late(10.0) == [early]
    assert calls.late(15.0) == [early, later]


def test_progress_gives_a_call_its_whole_time_again() -> None:
    calls, caller = OpenCalls(10.0), Caller()
    key, other = calls.add(caller, 0.0), calls.add(Caller(), 1.0)
    assert calls.progressed(key, 8.0) is caller
    assert calls.late(17.9) == [other]
    assert calls.late(18.0) == [other, key]


def test_progress_of_a_call_that_is_over_is_nobodys() -> None:
    calls = OpenCalls(10.0)
    key = calls.add(Caller(), 0.0)
    calls.pop(key)
    assert calls.progressed(key, 1.0) is None
    assert calls.late(100.0) == []


def test_all_callers_hear_of_a_failure_and_are_forgotten() -> None:
    calls, callers = OpenCalls(10.0), [Caller(), Caller()]
    keys = [calls.add(caller, 0.0) for caller in callers]
    failure = CallFailure("gone", Outcome.UNKNOWN)
    calls.fail_all(failure)
    assert [caller.failure for caller in callers] == [failure, failure]
    assert [calls.pop(key) for key in keys] == [None, None]


@given(st.lists(st.tuples(st.sampled_from(["add", "progress", "pop"]), st.integers(0, 20))))
def test_the_late_ones_are_those_that_a_plain_model_finds(steps: list[tuple[str, int]]) -> None:
    """Looking only at the first calls never overlooks one, whatever happened before."""
    calls, model = OpenCalls(5.0), dict[int, float]()
    for now_s, (step, number) in enumerate(steps):
        if step == "add":
            model[calls.add(Caller(), now_s)] = now_s + 5.0
        elif step == "progress":
            found = calls.progressed(number, now_s) is not None
            assert found == (number in model)
            if found:
                model[number] = now_s + 5.0
        else:
            assert (calls.pop(number) is not None) == (model.pop(number, None) is not None)
        assert set(calls.late(now_s)) == {key for key, due_s in model.items() if due_s <= now_s}


def test_a_listen_of_nobody_is_no_work() -> None:
    calls = OpenCalls(10.0)
    calls.add(Caller(), 0.0, is_listen=True)
    assert calls.is_idle
    listen = calls.add(Caller(), 0.0, Asker("local|ken", ""), is_listen=True)
    assert not busy_without(calls, listen)
    call = calls.add(Caller(), 0.0)
    assert not busy_without(calls, call)


def busy_without(calls: OpenCalls, key: int) -> bool:
    """Say whether there is work left once a call, which was work, is over."""
    assert not calls.is_idle
    calls.pop(key)
    return not calls.is_idle
