"""Answers that take a while: a coroutine works one out, and it is sent if the client is still there."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from mcptunnel.relay.web.request import RelayRequest

Send: TypeAlias = Callable[[RelayRequest], object]
"""Sends a whole answer."""

_log = Logger()


def answer_later(
    request: RelayRequest, answer: Coroutine[Any, Any, Send], failed: Callable[[], Send]
) -> int:
    """Send what a coroutine returns, or what `failed` does if it raises, which is logged.

    What was begun runs to its end, also when the client goes away: it is in the store then. Returns
    what `render` must return.
    """
    is_gone = False

    def note() -> None:
        nonlocal is_gone
        is_gone = True

    def send(how: Send) -> None:
        request.when_gone = None
        if not is_gone:
            how(request)

    def tell(failure: Failure) -> None:
        _log.failure("cannot answer {path}", failure, path=request.path)
        if not (is_gone or request.startedWriting):
            send(failed())

    request.when_gone = note
    Deferred.fromCoroutine(answer).addCallback(send).addErrback(tell)
    return NOT_DONE_YET
