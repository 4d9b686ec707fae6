"""A local server that is spoken to in the era of each client: a process, or a session, for each era."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import (
    STOP_GRACE_S,
    IdleServer,
    LocalCall,
    Passage,
    PassageFound,
)
from mcptunnel.agent.servers.kept import MAX_WAITING
from mcptunnel.agent.servers.tried_call import TriedCall
from mcptunnel.agent.servers.wide_listen import WideListen
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.listens import LISTEN
from mcptunnel.mcp.server_half.request_state import STATE, RequestStates
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome

VERDICT_S: Final = 3600.0
"""How long it is remembered that a program does not serve legacy clients: it may be another by then."""
HTTP_VERDICT_S: Final = 10.0
"""The same of an HTTP server, which costs little to ask again: who knows it, knows it for longer."""

LONGEST_SWEEP_S: Final = 30.0

_HOPEFUL: Final = frozenset({ServerState.STARTING, ServerState.READY})
_DECIDED: Final = frozenset({ServerState.READY, ServerState.FAILED})


class Make(Protocol):
    """Makes a server; without `probe` one that is greeted as a legacy server."""

    def __call__(self, changed: Callable[[], None], *, probe: bool) -> IdleServer: ...


class TwoEras:
    """A server with which there are up to two conversations (`LocalServer`).

    The first is always there, and asks which era the server speaks; its status is told. If that is the
    modern one, legacy clients (`Asker.era`) get a second one, begun with `initialize`: a process of
    its own, or a session over HTTP. What a tool asks of its client with requests of its own it can ask
    in that era alone. The second begins with the first such call, which waits until it is known how the
    server is talked to, and ends after `idle_s` without any. If it does not begin, the server is taken
    for a modern one, and the first serves all. What is listened to for no single client is heard of
    both.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        make: Make,
        states: RequestStates,
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._make = make
        self._states = states
        self._changed = changed
        self._waiting: list[TriedCall] = []
        self._listens: dict[WideListen, None] = {}
        self._first = make(self._first_changed, probe=True)
        self._second: IdleServer | None = None
        self._has_served = False
        self._is_asking = False
        self._used_s = 0.0
        self._refused_s = float("-inf")
        self._verdict_s = HTTP_VERDICT_S if config.kind == "http" else VERDICT_S
        self._ending: dict[IdleServer, Deferred[None]] = {}
        self._sweep_call: IDelayedCall | None = None

    @property
    def status(self) -> ServerStatus:
        return self._first.status

    @property
    def is_idle(self) -> bool:
        """Whether neither has anything to do."""
        second = self._second
        return not self._waiting and self._first.is_idle and (second is None or second.is_idle)

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

    # Calls.

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        if not asker.client and request.method == LISTEN:
            return self._listen(request, receiver, asker)
        if asker.era is Era.MODERN or self._first.status.era == Era.LEGACY:
            return self._first.call(request, receiver, asker)
        if STATE in request.params:
            return self._retried(request, receiver, asker)
        now_s = self._reactor.seconds()
        if now_s - self._refused_s < self._verdict_s:
            return self._first.call(request, receiver, asker)
        second = self._second
        if second is not None and self._has_served and second.status.state is ServerState.READY:
            self._used_s = now_s
            return second.call(request, receiver, asker)
        call = TriedCall(self._first, request, receiver, asker)
        self._try(call)
        return call

    def _listen(self, request: Request, receiver: CallReceiver, asker: Asker) -> LocalCall:
        listen = WideListen(request, receiver, lambda gone: self._listens.pop(gone, None))
        self._listens[listen] = None
        listen.begin(self._first, asker)
        if self._second is not None:
            listen.hear(self._second)
        return listen

    def _retried(self, request: Request, receiver: CallReceiver, asker: Asker) -> LocalCall:
        """Take answers to where the question came from, or nowhere."""
        if not self._states.has_sealed(request, asker):  # the server's own, as modern ones have
            return self._first.call(request, receiver, asker)
        second = self._second
        if second is not None and second.status.state is ServerState.READY:
            self._used_s = self._reactor.seconds()
            return second.call(request, receiver, asker)
        name = self._config.name
        text = f"The server {name!r} ended while the call waited for answers of its client."
        receiver.call_failed(CallFailure(text, Outcome.UNKNOWN))
        return TriedCall(self._first, request, receiver, asker)

    def _try(self, call: TriedCall) -> None:
        """Make a call where it belongs, once that is known."""
        now_s, status, second = self._reactor.seconds(), self.status, self._second
        if status.era == Era.LEGACY or now_s - self._refused_s < self._verdict_s:
            call.fall_back()
        elif second is not None:
            self._used_s = now_s
            call.begin(second)
        elif status.state not in _HOPEFUL or len(self._waiting) >= MAX_WAITING:
            call.fall_back()
        else:
            self._waiting.append(call)
            if status.state is ServerState.READY and not self._is_asking:
                self._begin_second()

    def _place_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self._try(call)

    def _first_changed(self) -> None:
        self._changed()
        if self._waiting and not self._is_asking and self.status.state is not ServerState.STARTING:
            self._place_waiting()

    # The second.

    def _begin_second(self) -> None:
        """Start it; an HTTP server is asked first whether it serves legacy clients as well."""
        if self._config.kind == "http":
            self._is_asking = True
            self._first.find_passage(Era.LEGACY, self._asked)
        else:
            self._start_second()

    def _asked(self, passage: Passage | None) -> None:
        self._is_asking = False
        if passage is not None and Era.LEGACY in passage.eras:
            self._start_second()
        else:
            if self.status.state is ServerState.READY:
                self._refused_s = self._reactor.seconds()
            self._place_waiting()

    def _start_second(self) -> None:
        self._has_served = False
        second: list[IdleServer] = []
        second.append(self._make(lambda: self._second_changed(second), probe=False))
        self._second = second[0]
        self._used_s = self._reactor.seconds()
        self._sweep_later()
        self._second.start()
        for listen in tuple(self._listens):
            listen.hear(self._second)
        self._place_waiting()

    def _second_changed(self, told: list[IdleServer]) -> None:
        if not told or told[0] is not self._second or self._has_served:
            return
        status = told[0].status
        if status.state is ServerState.READY and status.era == Era.LEGACY:
            self._has_served = True
        elif status.state in _DECIDED:
            self._refused_s = self._reactor.seconds()
            self._log.info(
                "server {server} does not begin with initialize: it is spoken to in one era only",
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
