"""A local server with a process, or a session, of its own for each client."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import (
    STOP_GRACE_S,
    IdleServer,
    LocalCall,
    PassageFound,
)
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.mcp.server_half.listens import LISTEN
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome

LONGEST_SWEEP_S: Final = 30.0

# What a client asks before it does anything, and what is the same for all.
_SAID_BY_ANY: Final = frozenset(
    {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    }
)


class _Own:
    """The server of one asker."""

    __slots__ = ("server", "used_s")

    def __init__(self, server: IdleServer, now_s: float) -> None:
        self.server = server
        self.used_s = now_s


class IsolatedServer:
    """Many servers of one configuration that pass for one (`LocalServer`).

    The first is always there: its status is told, and it answers who only looks around. Who acts
    gets one of their own, made by `make`; it ends after `idle_s` without anything to do, or when
    another asker needs the place and it has been idle for longest.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        make: Callable[[Callable[[], None]], IdleServer],
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._make = make
        self._first = make(changed)
        self._own: dict[Asker, _Own] = {}
        self._ending: dict[IdleServer, Deferred[None]] = {}
        self._sweep_call: IDelayedCall | None = None

    @property
    def status(self) -> ServerStatus:
        return self._first.status

    def find_passage(self, era: Era, found: PassageFound) -> None:
        self._first.find_passage(era, found)

    def start(self) -> None:
        self._first.start()
        self._sweep_later()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
        hurrying = [self._stopped(server, grace_s) for server in (self._first, *self._ending)]
        for asker in list(self._own):
            self._end(asker, grace_s)
        await DeferredList([*hurrying, *self._ending.values()])

    def end_listens(self) -> None:
        for server in (self._first, *(own.server for own in self._own.values())):
            server.end_listens()

    async def restart(self) -> None:
        servers = [self._first, *(own.server for own in self._own.values())]
        restarting = [Deferred.fromCoroutine(server.restart()) for server in servers]
        for one in restarting:
            one.addErrback(lambda failure: self._log.failure("cannot restart a server", failure))
        await DeferredList(restarting)

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        own = self._own.get(asker)
        if own is None and (not asker.client or _only_looks(request) or self._sweep_call is None):
            return self._first.call(request, receiver, asker)
        if own is None:
            own = self._make_room_for(asker)
        if own is None:
            receiver.call_failed(CallFailure(self._full(), Outcome.NOT_DELIVERED))
            return _Over()
        own.used_s = self._reactor.seconds()
        return own.server.call(request, receiver, asker)

    def _full(self) -> str:
        count = self._config.max_children
        return (
            f"The server {self._config.name!r} works for {count} clients already, each with a process"
            " or session of its own. Try again later, or raise max_children in its configuration."
        )

    def _make_room_for(self, asker: Asker) -> _Own | None:
        if len(self._own) >= self._config.max_children:
            idle = [who for who, own in self._own.items() if own.server.is_idle]
            if not idle:
                return None
            self._end(min(idle, key=lambda who: self._own[who].used_s))
        own = _Own(self._make(lambda: None), self._reactor.seconds())
        self._own[asker] = own
        own.server.start()
        return own

    def _end(self, asker: Asker, grace_s: float = STOP_GRACE_S) -> None:
        server = self._own.pop(asker).server
        ending = self._ending[server] = self._stopped(server, grace_s)
        ending.addCallback(lambda _none: self._ending.pop(server, None) and None)

    def _stopped(self, server: IdleServer, grace_s: float) -> Deferred[None]:
        ending = Deferred.fromCoroutine(server.stop(grace_s))
        ending.addErrback(lambda failure: self._log.failure("cannot stop a server", failure))
        return ending

    def _sweep_later(self) -> None:
        interval_s = min(self._config.idle_s / 4, LONGEST_SWEEP_S)
        self._sweep_call = self._reactor.callLater(interval_s, self._sweep)

    def _sweep(self) -> None:
        """End what was idle for too long."""
        now_s = self._reactor.seconds()
        for asker, own in list(self._own.items()):
            if not own.server.is_idle:
                own.used_s = now_s
            elif now_s - own.used_s >= self._config.idle_s:
                self._end(asker)
        self._sweep_later()


class _Over:
    """A call that was never made (`LocalCall`)."""

    def cancel(self, reason: str) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


def _only_looks(request: Request) -> bool:
    """Say whether a request needs no process of its own: lists are the same for all."""
    if request.method != LISTEN:
        return request.method in _SAID_BY_ANY
    try:
        wanted = jsonrpc.members(request.params.get("notifications"))
    except JsonRpcError:
        return True
    return bytes(wanted.get("resourceSubscriptions", b"[]")) == b"[]"
