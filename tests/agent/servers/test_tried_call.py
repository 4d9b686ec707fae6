"""A call that waits for its place: made once, where it is taken, and given up wherever it is."""

import pytest

from mcptunnel.agent.servers.tried_call import TriedCall
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from mcptunnel.testing.local_server import MemoryServer
from tests.agent import Caller, tool_call

KEN = Asker("local|ken", "key")


class Bench:
    def __init__(self) -> None:
        self.first, self.other = (MemoryServer("files", {"wait": None}) for _ in range(2))
        self.caller = Caller()
        self.call = TriedCall(self.first, tool_call("wait"), self.caller, KEN)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_the_other_does_not_take_the_first_makes(bench: Bench) -> None:
    bench.call.begin(bench.other)
    assert bench.other.calls[0].asker == KEN
    bench.other.calls[0].fail("It is away.", Outcome.NOT_DELIVERED)
    bench.call.pause()
    bench.call.resume()
    (call,) = bench.first.calls
    call.fail("It is away as well.", Outcome.NOT_DELIVERED)
    assert bench.caller.failure is not None
    assert bench.caller.failure.text == "It is away as well."
    assert len(bench.first.calls) == 1


def test_what_may_have_run_is_made_once(bench: Bench) -> None:
    bench.call.begin(bench.other)
    bench.other.calls[0].progress(1)
    bench.other.calls[0].fail("It is lost.", Outcome.NOT_DELIVERED)
    assert bench.caller.failure is not None
    assert not bench.first.calls


def test_an_answer_is_passed_on(bench: Bench) -> None:
    bench.call.begin(bench.other)
    bench.other.become(ServerState.READY)
    bench.other.calls[0].answer("done")
    assert bench.caller.result["content"][0]["text"] == "done"


def test_a_call_that_was_given_up_is_made_nowhere(bench: Bench) -> None:
    bench.call.cancel("gone")
    bench.call.begin(bench.other)
    bench.call.fall_back()
    assert not bench.other.calls
    assert not bench.first.calls


@pytest.mark.parametrize("falls_back", [False, True])
def test_it_is_cancelled_where_it_is(bench: Bench, falls_back: bool) -> None:
    bench.call.begin(bench.other)
    if falls_back:
        bench.other.calls[0].fail("It is away.", Outcome.NOT_DELIVERED)
    bench.call.cancel("gone")
    assert (bench.first if falls_back else bench.other).calls[0].cancelled == "gone"


@pytest.mark.parametrize("falls_back", [False, True])
def test_who_is_slow_before_it_begins_is_so_afterwards(bench: Bench, falls_back: bool) -> None:
    """Wherever the call is made then; and no more once the client has caught up."""
    bench.call.pause()
    bench.call.begin(bench.other)
    if falls_back:
        bench.other.calls[0].fail("It is away.", Outcome.NOT_DELIVERED)
    taken = (bench.first if falls_back else bench.other).calls[0]
    paused = [bench.other.calls[0].paused, taken.paused]
    bench.call.resume()
    assert [*paused, taken.paused] == [True, True, False]
