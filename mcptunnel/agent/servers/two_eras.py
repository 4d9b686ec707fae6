"""A local program that is spoken to in the era of each client, by a process for each era."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import (
    STOP_GRACE_S,
    IdleServer,
    LocalCall,
    LocalServer,
    PassageFound,
)
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome

VERDICT_S: Final = 3600.0
"""How long it is remembered that a program does not serve legacy clients: it may be another by then."""

LONGEST_SWEEP_S: Final = 30.0

_DECIDED: Final = frozenset({ServerState.READY, ServerState.FAILED})


class TwoEras:
    """A program of which there are up to two processes (`LocalServer`).

    The first is always there and is asked which era it speaks; its status is told. If that is the
    modern one, legacy clients (`Asker.era`) get a second process, begun with `initialize`: what a tool
    asks of its client with requests of its own it can ask in that era alone. The second starts with
    the first such call and ends after `idle_s` without any. If it does not start, the program is
    taken for a modern one, and the first serves all.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        first: IdleServer,
        make_second: Callable[[Callable[[], None]], IdleServer],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._make_second = make_second
        self._first = first
        self._second: IdleServer | None = None
        self._has_served = False
        self._used_s = 0.0
        self._refused_s = float("-inf")
        self._ending: dict[IdleServer, Deferred[None]] = {}
        self._sweep_call: IDelayedCall | None = None

    @property
    def status(self) -> ServerStatus:
        return self._first.status

    @property
    def is_idle(self) -> bool:
        """Whether neither has anything to do."""
        return self._first.is_idle and (self._second is None or self._second.is_idle)

    def find_passage(self, era: Era, found: PassageFound) -> None:
        self._first.find_passage(era, found)

    def start(self) -> None:
        self._first.start()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        hurrying = [self._stopped(server, grace_s) for server in (self._first, *self._ending)]
        self._end_second(grace_s)
        await DeferredList([*hurrying, *self._ending.values()])

    def end_listens(self) -> None:
        self._first.end_listens()
        if self._second is not None:
            self._second.end_listens()

    async def restart(self) -> None:
        self._end_second()
        self._refused_s = float("-inf")
        await self._first.restart()

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        second = self._for_legacy() if asker.era is Era.LEGACY else None
        if second is None:
            return self._first.call(request, receiver, asker)
        self._used_s = self._reactor.seconds()
        if self._has_served:
            return second.call(request, receiver, asker)
        tried = _Tried(self._first, request, receiver, asker)
        tried.call = second.call(request, tried, asker)
        return tried

    def _for_legacy(self) -> IdleServer | None:
        """Return the second, started if need be; None if the first serves legacy clients as well."""
        status, now_s = self._first.status, self._reactor.seconds()
        if status.era != Era.MODERN or now_s - self._refused_s < VERDICT_S:
            return None
        if self._second is None and status.state is ServerState.READY:
            self._has_served = False
            second: list[IdleServer] = []
            second.append(self._make_second(lambda: self._changed(second)))
            self._second = second[0]
            self._sweep_later()
            self._second.start()
        return self._second

    def _changed(self, told: list[IdleServer]) -> None:
        if not told or told[0] is not self._second or self._has_served:
            return
        status = told[0].status
        if status.state is ServerState.READY and status.era == Era.LEGACY:
            self._has_served = True
        elif status.state in _DECIDED:
            self._refused_s = self._reactor.seconds()
            self._log.info(
                "server {server} does not begin with initialize: legacy clients share its process",
                server=self._config.name,
            )
            # It may have calls already; they are told, or answered, before it ends.
            if status.state is ServerState.FAILED:
                self._reactor.callLater(
                    0, lambda: self._end_second() if told[0] is self._second else None
                )

    # Its end.

    def _end_second(self, grace_s: float = STOP_GRACE_S) -> None:
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
        second, self._second = self._second, None
        if second is not None:
            ending = self._ending[second] = self._stopped(second, grace_s)
            ending.addCallback(lambda _none: self._ending.pop(second, None) and None)

    def _stopped(self, server: IdleServer, grace_s: float) -> Deferred[None]:
        ending = Deferred.fromCoroutine(server.stop(grace_s))
        ending.addErrback(lambda failure: self._log.failure("cannot stop a server", failure))
        return ending

    def _sweep_later(self) -> None:
        interval_s = min(self._config.idle_s / 4, LONGEST_SWEEP_S)
        self._sweep_call = self._reactor.callLater(interval_s, self._sweep)

    def _sweep(self) -> None:
        self._sweep_call = None
        now_s = self._reactor.seconds()
        is_idle = self._second is None or self._second.is_idle
        if not is_idle:
            self._used_s = now_s
        if now_s - self._used_s >= self._config.idle_s or (is_idle and not self._has_served):
            self._end_second()
        else:
            self._sweep_later()


class _Tried:
    """A call on the second process before it has begun; the first makes it if that never begins.

    (`CallReceiver`, `LocalCall`.)
    """

    __slots__ = ("_asker", "_first", "_receiver", "_request", "call")

    def __init__(
        self, first: LocalServer, request: Request, receiver: CallReceiver, asker: Asker
    ) -> None:
        self._first: LocalServer | None = first
        self._request: Request | None = request
        self._receiver = receiver
        self._asker = asker
        self.call: LocalCall | None = None

    def notification(self, message: Notification) -> None:
        self._forget()
        self._receiver.notification(message)

    def response(self, message: Response) -> None:
        self._forget()
        self._receiver.response(message)

    def call_failed(self, failure: CallFailure) -> None:
        first, request = self._first, self._request
        self._forget()
        if first is None or request is None or failure.outcome is not Outcome.NOT_DELIVERED:
            self._receiver.call_failed(failure)
        else:
            self.call = first.call(request, self, self._asker)

    def cancel(self, reason: str) -> None:
        if self.call is not None:
            self.call.cancel(reason)

    def pause(self) -> None:
        if self.call is not None:
            self.call.pause()

    def resume(self) -> None:
        if self.call is not None:
            self.call.resume()

    def _forget(self) -> None:
        self._first = self._request = None
