"""What all kinds of local servers share: a status, open calls, orders to stop and to start again."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from msgspec import Raw
from msgspec.structs import replace
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.calls import OpenCalls
from mcptunnel.agent.servers.interfaces import STOP_GRACE_S, LocalCall, PassageFound
from mcptunnel.agent.servers.restarts import RestartPolicy
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.listens import LISTEN
from mcptunnel.mcp.server_half.request_state import RequestStates
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from mcptunnel.net.errors import printable

SWEEP_INTERVAL_S = 1.0
SOON_S = 2.0
"""A server that is tried again so soon lets calls wait for that; others refuse them at once."""
MAX_WAITING = 256
"""Calls that wait for a server that is away or starting."""
OVER_KEY = 0
"""The key of calls that were over before they were open."""


class KeptServer(ABC):
    """A local server that is kept in reach (`LocalServer`).

    `changed` is called after every change of `status`. `client_info` is our own Implementation
    object, `states` seals what parked calls are found by. Of orders that overlap the last one counts.
    A listen outlives the server's processes and sessions: only a stop ends it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        client_info: Raw,
        states: RequestStates,
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        shared = config.isolation == "shared"
        self._context = ServerContext(client_info, states, shared=shared)
        self._changed = changed
        self._open = OpenCalls(config.timeout_s)
        self._restarts = RestartPolicy()
        self._orders = 0
        self._sweep_call: IDelayedCall | None = None
        self._again_call: IDelayedCall | None = None
        self._again_is_soon = False
        self._waiting: dict[int, Request] = {}
        self._told = ""
        self._is_tried = False
        self.status = ServerStatus(
            config.name, config.kind, ServerState.STOPPED, 0, config.prefix, "is stopped"
        )

    # What the agent does.

    def start(self) -> None:
        self._begin()
        self._sweep()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        self._orders += 1
        self.end_listens()
        await self._stop(grace_s)

    def end_listens(self) -> None:
        for ended in self._context.listens.end_all():
            self._deliver(ended)

    async def restart(self) -> None:
        self._orders += 1
        order = self._orders
        await self._stop(STOP_GRACE_S)
        if order == self._orders:  # else a later order, to stop or to restart, decides
            self._restarts = RestartPolicy()
            self.start()

    async def _stop(self, grace_s: float) -> None:
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
        self._forget()
        self._waiting.clear()
        self._cancel_again()
        self._open.fail_all(self._failure("was stopped", Outcome.UNKNOWN))
        self._told = ""
        self._set(state=ServerState.STOPPED, detail="is stopped")
        await self._end(grace_s)

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        if not self._takes_calls():
            receiver.call_failed(self._failure(self.status.detail, Outcome.NOT_DELIVERED))
            return KeptCall(self, OVER_KEY)
        is_listen = request.method == LISTEN
        key = self._open.add(receiver, self._reactor.seconds(), asker, is_listen=is_listen)
        self._ask(key, request)
        return KeptCall(self, key)

    def cancel_call(self, key: int, reason: str) -> None:
        """Give up a call, if it is open."""
        if self._open.pop(key) is not None:
            self._drop(key, reason)
            self._context.listens.pop(key)

    @property
    def is_idle(self) -> bool:
        """Whether no call is open, no listen of anybody, and none parked."""
        return self._open.is_idle and not self._parked_count()

    def find_passage(self, era: Era, found: PassageFound) -> None:
        found(None)

    # What each kind does in its own way.

    @abstractmethod
    def _begin(self) -> None:
        """Start; what goes wrong is tried again."""

    @abstractmethod
    def _forget(self) -> None:
        """Cancel timers of its own and forget all calls, at once."""

    @abstractmethod
    async def _end(self, grace_s: float) -> None:
        """Return when nothing is left running. May be called while it runs."""

    @abstractmethod
    def _takes_calls(self) -> bool:
        """Say whether a call can be made, or can wait; if not, `status.detail` says why."""

    @abstractmethod
    def _ask(self, key: int, request: Request) -> None:
        """Make a call, now or as soon as that is possible."""

    @abstractmethod
    def _again(self) -> None:
        """Try once more, some time after `_troubled`."""

    @abstractmethod
    def _drop(self, key: int, reason: str) -> None:
        """Ask it no more, or tell the server that nobody waits for it."""

    @abstractmethod
    def _parked_count(self) -> int:
        """Return how many calls wait for answers of their clients."""

    @abstractmethod
    def pause_call(self, key: int) -> None:
        """Read no more of what belongs to one call, if that can be told apart."""

    @abstractmethod
    def resume_call(self, key: int) -> None:
        """Read again."""

    # What both need.

    def _deliver(self, delivery: Deliver) -> None:
        message = delivery.message
        if isinstance(message, Notification):
            receiver = self._open.progressed(delivery.key, self._reactor.seconds())
            if receiver is not None:
                receiver.notification(message)
            return
        receiver = self._open.pop(delivery.key)
        if receiver is not None:
            receiver.response(message)

    def _fail(self, key: int, detail: str, outcome: Outcome) -> None:
        receiver = self._open.pop(key)
        if receiver is not None:
            receiver.call_failed(self._failure(detail, outcome))

    def _failure(self, detail: str, outcome: Outcome) -> CallFailure:
        return CallFailure(f"The server {self._config.name!r} {printable(detail)}.", outcome)

    def _sweep(self) -> None:
        """Give up what takes too long: once every second, from the start to the stop."""
        for key in self._open.late(self._reactor.seconds()):
            self._fail(key, f"gave no answer within {self._open.timeout_s:g} s", Outcome.UNKNOWN)
            self._drop(key, "timeout")
        self._sweep_call = self._reactor.callLater(SWEEP_INTERVAL_S, self._sweep)

    def _comes_soon(self) -> bool:
        """Say whether a call can wait for the next try."""
        return self._again_is_soon and len(self._waiting) < MAX_WAITING

    def _try_later(self) -> None:
        """Try again after a while, longer from time to time."""
        delay_s = self._restarts.ended(self._reactor.seconds())
        self._again_is_soon = delay_s <= SOON_S
        self._again_call = self._reactor.callLater(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._again_call = None
        self._again_is_soon = False
        self._again()

    def _cancel_again(self) -> None:
        if self._again_call is not None:
            self._again_call.cancel()
            self._again_call = None
        self._again_is_soon = False

    def _troubled(self, detail: str, remedy: str = "") -> None:
        """Note what is wrong, and log it: once, for as long as nothing else goes wrong.

        A server that is only tried may fail, and people need not hear of it.
        """
        self._set(state=ServerState.FAILED, detail=detail)
        if detail != self._told:
            self._told = detail
            log = self._log.debug if self._is_tried else self._log.warn
            log(
                "server {server}: {detail}. {remedy}Trying again, less and less often.",
                server=self._config.name,
                detail=detail,
                remedy=f"{remedy}. " if remedy else "",
            )

    def _lists_changed(self) -> None:
        self._set(revision=self.status.revision + 1)

    def _is_ready(self, info: ServerInfo) -> None:
        self._told = ""
        self._is_tried = False
        self._log.info(
            "server {server} is ready: {era} {version}",
            server=self._config.name,
            era=info.era.value,
            version=printable(info.version),
        )
        self._set(
            state=ServerState.READY,
            detail="",
            era=info.era.value,
            version=printable(info.version),
            revision=self.status.revision + 1,
        )

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._changed()


class KeptCall:
    """A call on a kept server (`LocalCall`)."""

    __slots__ = ("_key", "_server")

    def __init__(self, server: KeptServer, key: int) -> None:
        self._server = server
        self._key = key

    def cancel(self, reason: str) -> None:
        self._server.cancel_call(self._key, reason)

    def pause(self) -> None:
        self._server.pause_call(self._key)

    def resume(self) -> None:
        self._server.resume_call(self._key)
