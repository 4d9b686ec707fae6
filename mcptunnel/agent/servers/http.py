"""A local server that runs already and speaks Streamable HTTP."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.agent.servers.calls import OpenCalls
from mcptunnel.agent.servers.http_call import Calls, Ended
from mcptunnel.agent.servers.http_handshake import Agreed, Unusable, agree
from mcptunnel.agent.servers.interfaces import Cancel, ServerState, ServerStatus
from mcptunnel.agent.servers.restarts import RestartPolicy
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.model import Headers, Outcome
from mcptunnel.net.http1 import Client

HANDSHAKE_TIMEOUT_S: Final = 30.0
SWEEP_INTERVAL_S: Final = 1.0
MAX_WAITING: Final = 256
MAX_IDLE: Final = 256
"""As many connections as streams: with fewer, a busy server is connected to anew for every call."""


class HttpServer:
    """Carries calls to a server at a URL (`LocalServer`).

    It is asked which era it speaks at the start, and again when an answer shows that this may have
    changed: it could not be reached, or did not answer as MCP. `changed` is called after every
    change of `status`.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        client_info: Raw,
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._client_info = client_info
        self._changed = changed
        self._headers: Headers = tuple(
            (name.lower(), value) for name, value in config.headers.items()
        )
        self._client: Client | None = None
        self._closing: Client | None = None
        self._orders = 0
        self._calls: Calls | None = None
        self._asked: dict[int, Calls] = {}
        self._agreeing: Deferred[Any] | None = None
        self._open = OpenCalls(config.timeout_s)
        self._waiting: dict[int, Request] = {}
        self._retried: set[int] = set()
        self._restarts = RestartPolicy()
        self._again_call: IDelayedCall | None = None
        self._sweep_call: IDelayedCall | None = None
        self.status = ServerStatus(
            config.name, config.kind, ServerState.STOPPED, 0, config.prefix, "is stopped"
        )

    # What the agent does.

    def start(self) -> None:
        self._client = Client(self._reactor, self._config.url or "", max_idle=MAX_IDLE)
        self._agree()
        self._sweep()

    async def stop(self) -> None:
        self._orders += 1
        await self._end()

    async def restart(self) -> None:
        """Begin afresh: new connections, a new session. The server itself is not ours to restart."""
        self._orders += 1
        order = self._orders
        await self._end()
        if order == self._orders:  # else a later order, to stop or to restart, decides
            self._restarts = RestartPolicy()
            self.start()

    async def _end(self) -> None:
        """Drop all calls and connections; return when nothing is left of them."""
        if self._client is not None:
            self._closing, self._client = self._client, None
        for call in (self._again_call, self._sweep_call):
            if call is not None:
                call.cancel()
        self._again_call = self._sweep_call = self._calls = None
        if self._agreeing is not None:
            self._agreeing.cancel()
        for pending in (self._waiting, self._asked, self._retried):
            pending.clear()
        self._open.fail_all(self._failure("was stopped", Outcome.UNKNOWN))
        self._set(state=ServerState.STOPPED, detail="is stopped")
        if self._closing is not None:
            await self._closing.close()

    def call(self, request: Request, receiver: CallReceiver) -> Cancel:
        waits = self.status.state is ServerState.STARTING and len(self._waiting) < MAX_WAITING
        if self._calls is None and not waits:
            receiver.call_failed(self._failure(self.status.detail, Outcome.NOT_DELIVERED))
            return _already_over
        key = self._open.add(receiver, self._reactor.seconds())
        self._ask(key, request)

        def cancel(reason: str) -> None:
            if self._open.pop(key) is not None:
                self._drop(key, reason)

        return cancel

    def _ask(self, key: int, request: Request) -> None:
        """Ask now, or as soon as it is known how."""
        if self._calls is None:
            self._waiting[key] = request
        else:
            self._asked[key] = self._calls
            self._calls.call(key, request)

    # The handshake.

    def _agree(self) -> None:
        if self._client is None or self._agreeing is not None:
            return
        if self._again_call is not None:
            self._again_call.cancel()
            self._again_call = None
        self._restarts.started(self._reactor.seconds())
        self._calls = None
        self._set(state=ServerState.STARTING, detail="is being asked which protocol it speaks")
        agreeing = Deferred.fromCoroutine(agree(self._client, self._headers, self._client_info))
        agreeing.addTimeout(HANDSHAKE_TIMEOUT_S, self._reactor)
        self._agreeing = agreeing  # first: it may have failed already
        agreeing.addCallbacks(self._agreed, self._not_agreed, callbackArgs=(self._client,))

    def _agreed(self, agreed: Agreed, client: Client) -> None:
        self._agreeing = None
        self._restarts = RestartPolicy()
        self._calls = Calls(client, self._headers, agreed, deliver=self._deliver, ended=self._ended)
        info = agreed.info
        self._log.info(
            "server {server} is ready: {era} {version}",
            server=self._config.name,
            era=info.era.value,
            version=info.version,
        )
        self._set(
            state=ServerState.READY,
            detail="",
            era=info.era.value,
            version=info.version,
            revision=self.status.revision + 1,
        )
        waiting, self._waiting = self._waiting, {}
        for key, request in waiting.items():
            self._ask(key, request)

    def _not_agreed(self, failure: Failure) -> None:
        self._agreeing = None
        if failure.check(CancelledError):
            return
        detail = self._words(failure)
        self._log.warn("server {server} {detail}", server=self._config.name, detail=detail)
        self._set(state=ServerState.FAILED, detail=detail)
        waiting, self._waiting = self._waiting, {}
        for key in waiting:
            self._fail(key, detail, Outcome.NOT_DELIVERED)
        delay_s = self._restarts.ended(self._reactor.seconds())
        self._again_call = self._reactor.callLater(delay_s, self._again)

    def _words(self, failure: Failure) -> str:
        if failure.check(DeferredTimeoutError):
            return f"cannot be reached: no answer within {HANDSHAKE_TIMEOUT_S:g} s"
        if failure.check(Unusable):
            return str(failure.value)
        self._log.failure("cannot talk to {server}", failure, server=self._config.name)
        return "cannot be used"

    def _again(self) -> None:
        self._again_call = None
        self._agree()

    # Calls under way.

    def _deliver(self, delivery: Deliver) -> None:
        message = delivery.message
        if isinstance(message, Notification):
            receiver = self._open.progressed(delivery.key, self._reactor.seconds())
            if receiver is not None:
                receiver.notification(message)
            return
        self._asked.pop(delivery.key, None)
        self._retried.discard(delivery.key)
        receiver = self._open.pop(delivery.key)
        if receiver is not None:
            receiver.response(message)

    def _ended(self, ended: Ended) -> None:
        key = ended.key
        # A call of an earlier handshake says nothing of the present one.
        doubtful = ended.ask_again and self._asked.get(key) is self._calls
        self._asked.pop(key, None)
        if doubtful:
            self._calls = None
        if ended.session_lost and key not in self._retried:
            self._retried.add(key)
            self._ask(key, ended.request)
        else:
            self._retried.discard(key)
            self._fail(key, ended.detail, ended.outcome)
        if doubtful or key in self._waiting:
            self._agree()

    def _fail(self, key: int, detail: str, outcome: Outcome) -> None:
        receiver = self._open.pop(key)
        if receiver is not None:
            receiver.call_failed(self._failure(detail, outcome))

    def _drop(self, key: int, reason: str) -> None:
        """Ask it no more, or tell the server that nobody waits for it."""
        self._waiting.pop(key, None)
        self._retried.discard(key)
        calls = self._asked.pop(key, None)
        if calls is not None:
            calls.cancel(key, reason)

    def _sweep(self) -> None:
        for key in self._open.late(self._reactor.seconds()):
            self._fail(key, f"gave no answer within {self._open.timeout_s:g} s", Outcome.UNKNOWN)
            self._drop(key, "timeout")
        self._sweep_call = self._reactor.callLater(SWEEP_INTERVAL_S, self._sweep)

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._changed()

    def _failure(self, detail: str, outcome: Outcome) -> CallFailure:
        return CallFailure(f"The server {self._config.name!r} {detail}.", outcome)


def _already_over(_reason: str) -> None:
    """Cancel nothing."""
