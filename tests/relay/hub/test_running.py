"""A request that begins to be answered later."""

from twisted.internet.defer import Deferred

from mcptunnel.relay.hub.running import Waiting


class Begun:
    """What answers (`running.Running`)."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def cancel(self, reason: str) -> None:
        self.told.append(reason)

    def hold(self, holding: bool) -> None:
        self.told.append(holding)

    def client_gone(self) -> None:
        self.told.append("gone")


def test_once_begun_it_hears_everything() -> None:
    waiting, begun = Waiting(), Begun()
    waiting.begin(begun)
    waiting.hold(True)
    waiting.client_gone()
    waiting.cancel("enough")
    assert begun.told == [True, "gone", "enough"]


def test_before_that_only_cancelling_has_an_effect() -> None:
    waiting = Waiting()
    waiting.cancel("nothing to cancel")
    waiting.hold(True)
    waiting.until = Deferred()
    waiting.until.addErrback(lambda _failure: None)
    waiting.cancel("enough")
    assert waiting.until.called


def test_a_client_that_left_before_is_told_of() -> None:
    waiting, begun = Waiting(), Begun()
    waiting.client_gone()
    waiting.begin(None)
    waiting.begin(begun)
    assert begun.told == ["gone"]
