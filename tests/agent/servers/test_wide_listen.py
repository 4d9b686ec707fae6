"""A listen on two servers: news of both, and the beginning and the end of the first."""

import pytest

from mcptunnel.agent.servers.wide_listen import WideListen
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.testing.local_server import MemoryServer
from tests.agent import Caller, request

HUB = Asker("local|ken", "")
CHANGED = "notifications/tools/list_changed"
WISHES = {"toolsListChanged": True}


class Bench:
    def __init__(self) -> None:
        self.first, self.second = MemoryServer("files"), MemoryServer("files")
        self.caller = Caller()
        self.left: list[WideListen] = []
        made = request("subscriptions/listen", "l", notifications=WISHES)
        self.listen = WideListen(made, self.caller, self.left.append)
        self.listen.begin(self.first, HUB)
        self.listen.hear(self.second)

    @property
    def heard(self) -> list[str]:
        return [one.method.removeprefix("notifications/") for one in self.caller.notifications]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_both_are_heard_and_one_acknowledges(bench: Bench) -> None:
    (own,), (more,) = bench.first.listens, bench.second.listens
    assert (own.asker, more.asker) == (HUB, NOBODY)
    bench.second.tell(CHANGED)
    bench.first.tell(CHANGED)
    assert bench.heard == ["subscriptions/acknowledged", *["tools/list_changed"] * 2]
    bench.listen.pause()
    bench.listen.resume()


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_the_second_is_none(bench: Bench, fails: bool) -> None:
    (more,) = bench.second.listens
    if fails:
        more.fail("It is lost.")
    else:
        bench.second.end_listens()
    bench.first.tell(CHANGED)
    assert bench.heard[1:] == ["tools/list_changed"]
    assert not bench.left


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_the_first_is_that_of_both(bench: Bench, fails: bool) -> None:
    (own,), (more,) = bench.first.listens, bench.second.listens
    if fails:
        own.fail("It is lost.")
    else:
        bench.first.end_listens()
    assert bench.caller.is_over
    assert more.cancelled is not None
    assert bench.left == [bench.listen]
    bench.listen.hear(bench.second)
    assert len(bench.second.listens) == 1


def test_who_listens_no_more_listens_to_neither(bench: Bench) -> None:
    bench.listen.cancel("enough")
    assert bench.first.listens[0].cancelled == "enough"
    assert bench.second.listens[0].cancelled is not None
    bench.listen.cancel("again")
    assert bench.left == [bench.listen]
