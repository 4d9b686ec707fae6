"""How a program is asked to stop: in order, or at once.

SIGTERM, or an end of our own, asks for an orderly stop: open calls may finish within a deadline.
SIGINT, SIGHUP, and any signal after the first ask for an end at once, within `AT_ONCE_S`.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from twisted.internet.task import deferLater
from twisted.logger import Logger

POLL_S: Final = 0.05
"""How often somebody who waits looks again: a stop is rare, and the hot paths need not know of it."""

AT_ONCE_S: Final = 2.8
"""When the system ends a program that was asked to stop at once and has not, whatever it is doing."""


class StopOrder:
    """What a program knows about its stop.

    `has_begun` is set by the program, `is_urgent` by whoever wants it to end at once.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.is_urgent = False


class Drain:
    """Lets calls finish. `drain_s` is the deadline; 0 waits for nothing."""

    _log = Logger()

    def __init__(self, reactor: Any, order: StopOrder, drain_s: float) -> None:
        self._reactor = reactor
        self._order = order
        self._drain_s = drain_s

    async def calls(self, count: Callable[[], int], is_over: Callable[[], bool]) -> None:
        """Wait until calls are over, at most until the deadline; `count` is how many still run."""
        running = count()
        if running and self._drain_s and not self._order.is_urgent:
            self._log.info(
                "draining: {calls} running, until {drain_s:g} s",
                calls=_calls(running),
                drain_s=self._drain_s,
            )
        await self.until(lambda: is_over() or self._order.is_urgent, self._drain_s)
        left = count()
        if left:
            self._log.warn("stopping with {calls} running", calls=_calls(left))
        elif running:
            self._log.info("drained: all calls have finished")

    async def until(self, is_so: Callable[[], object], timeout_s: float) -> None:
        """Wait for something, at most so long."""
        end_s = self._reactor.seconds() + timeout_s
        while not is_so():
            left_s = end_s - self._reactor.seconds()
            if left_s <= 0:
                return
            await deferLater(self._reactor, min(POLL_S, left_s))


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def obey_signals(reactor: Any, order: StopOrder) -> None:
    """Let signals tell `order` how to stop; for real programs, once the reactor runs.

    The first one is handed on to the reactor, which stops the services and remembers it for the exit
    status. Signals that somebody else takes, such as a debugger, are left alone.
    """
    ours = {
        signal.SIGTERM: reactor.sigTerm,
        signal.SIGINT: reactor.sigInt,
        signal.SIGHUP: signal.SIG_DFL,
    }
    log = Logger()

    def received(number: int, frame: FrameType | None) -> None:
        is_first = not order.has_begun
        order.has_begun = True
        if (number != signal.SIGTERM or not is_first) and not order.is_urgent:
            order.is_urgent = True  # once: whoever asks again and again must not put off the end
            signal.setitimer(signal.ITIMER_REAL, AT_ONCE_S)  # SIGALRM ends us, even if we are stuck
        if is_first:
            stop = reactor.sigTerm if number == signal.SIGHUP else ours[signal.Signals(number)]
            stop(number, frame)
        else:
            reactor.callFromThread(log.info, "asked again: stopping at once")

    if signal.getsignal(signal.SIGTERM) != reactor.sigTerm:
        return  # signals are not this reactor's affair
    for number, present in ours.items():
        if signal.getsignal(number) == present:
            signal.signal(number, received)
