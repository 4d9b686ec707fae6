"""Runs a coroutine in the reactor, for commands that speak to a relay."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


def run_in_reactor(work: Callable[[Any], Coroutine[Any, Any, _T]]) -> _T:
    """Return what `work(reactor)` returns, or raise what it raises. Once in a process.

    Ctrl-C and SIGTERM cancel it, let it clean up, and raise `click.Abort`.
    """
    from twisted.internet import reactor as chosen  # noqa: PLC0415 - not before there is work

    reactor: Any = chosen
    results: list[Any] = []
    running: list[Deferred[Any]] = []

    def stop() -> "Deferred[None]":
        gone: Deferred[None] = Deferred()
        if results:
            gone.callback(None)
        else:
            running[0].addBoth(lambda _result: gone.callback(None))
            running[0].cancel()
        return gone

    def begin() -> None:
        reactor.addSystemEventTrigger("before", "shutdown", stop)
        running.append(Deferred.fromCoroutine(work(reactor)))
        running[0].addBoth(finished)

    def finished(result: Any) -> None:
        results.append(result)
        if reactor.running and not reactor._stopped:  # noqa: SLF001 - there is no other way to ask
            reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()
    (result,) = results
    if isinstance(result, Failure):
        if result.check(CancelledError):
            raise click.Abort
        result.raiseException()
    done: _T = result
    return done
