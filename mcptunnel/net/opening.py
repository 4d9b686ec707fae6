"""How a dialled connection becomes a link, or an error that says why not."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mcptunnel.net.answer import AnswerReader
from mcptunnel.net.errors import ConnectFailed, LinkError
from mcptunnel.net.link import Link

REFUSAL_TIMEOUT_S = 2.0


class Opening:
    """One connection's way to a link; the first outcome counts, whenever it is asked for.

    `where` is `host:port`, for errors. `abort` drops the connection and is told why.
    """

    def __init__(self, where: str, reactor: IReactorTime, abort: Callable[[str], None]) -> None:
        self._where = where
        self._reactor = reactor
        self._abort = abort
        self._answer = AnswerReader(where)
        self._refusal_timer: IDelayedCall | None = None
        self._outcome: Link | LinkError | None = None
        self._waiter: Deferred[Link] | None = None

    def opened(self) -> Deferred[Link]:
        """Fire with the link when it is up. Fails with ConnectFailed or UpgradeRefused."""
        self._waiter = Deferred(lambda _waiter: self._abort("cancelled"))
        self._report()
        return self._waiter

    def accepted_with(self, data: bytes) -> bytes | None:
        """Take what was received; return a 101 with all behind it, or None if it is none yet.

        Gives up by itself over what is no 101; a refusal's body is waited for only briefly.
        """
        try:
            answer = self._answer.accepted_with(data)
        except LinkError as error:
            self._give_up(error)
            return None
        if self._refusal_timer is None and self._answer.refusal is not None:
            self._refusal_timer = self._reactor.callLater(REFUSAL_TIMEOUT_S, self._refused)
        return answer

    def settle(self, outcome: Link | LinkError) -> None:
        """Take the outcome, if there was none."""
        self._stop_waiting()
        if self._outcome is None:
            self._outcome = outcome
            self._report()

    def fail(self, why: str) -> None:
        """End with ConnectFailed, and drop the connection."""
        self._give_up(ConnectFailed(f"{self._where}: {why}"))

    def connection_lost(self, reason: BaseException | None) -> None:
        """End, if that has not happened yet; a refusal may end with the connection."""
        refusal = self._answer.refusal
        self.settle(refusal or ConnectFailed.because(self._where, reason))

    def _refused(self) -> None:
        if self._answer.refusal is not None:
            self._give_up(self._answer.refusal)

    def _give_up(self, error: LinkError) -> None:
        self.settle(error)
        self._abort(str(error))

    def _stop_waiting(self) -> None:
        timer, self._refusal_timer = self._refusal_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _report(self) -> None:
        waiter, outcome = self._waiter, self._outcome
        if waiter is None or waiter.called or outcome is None:
            return
        if isinstance(outcome, LinkError):
            waiter.errback(outcome)
        else:
            waiter.callback(outcome)
