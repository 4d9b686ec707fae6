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

    It is asked which era it speaks at the start and after it could not be reached. `changed` is
    called after every change of `status`.
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
        self._calls: Calls | None = None
        self._agreeing: Deferred[None] | None = None
        self._open = OpenCalls(config.timeout_s)
        self._waiting: dict[int, Request] = {}
        self._retried: set[int] = set()
        self._restarts = RestartPolicy()
        self._again_call: IDelayedCall | None = None
        self._sweep_call: IDelayedCall | None = None
        self.status = ServerStatus(
            config.name, config.kind, ServerState.STOPPED, 0, prefix=config.prefix
        )

    # What the agent does.

    def start(self) -> None:
        self._client = Client(self._reactor, self._config.url or "", max_idle=MAX_IDLE)
        self._agree()
        self._sweep()

    async def stop(self) -> None:
        client, self._client, self._calls = self._client, None, None
        for call in (self._again_call, self._sweep_call):
            if call is not None and call.active():
                call.cancel()
        self._again_call = self._sweep_call = None
        if self._agreeing is not None:
            self._agreeing.cancel()
        self._waiting.clear()
        self._open.fail_all(self._failure("was stopped", Outcome.UNKNOWN))
        self._set(state=ServerState.STOPPED)
        if client is not None:
            await client.close()

    async def restart(self) -> None:
        """Begin afresh: new connections, a new session. The server itself is not ours to restart."""
        await self.stop()
        self._restarts = RestartPolicy()
        self.start()

    def call(self, request: Request, receiver: CallReceiver) -> Cancel:
        waits = self.status.state is ServerState.STARTING and len(self._waiting) < MAX_WAITING
        if self._calls is None and not waits:
            detail = self.status.detail or "is not running"
            receiver.call_failed(self._failure(detail, Outcome.NOT_DELIVERED))
            return _already_over
        key = self._open.add(receiver, self._reactor.seconds())
        if self._calls is None:
            self._waiting[key] = request
        else:
            self._calls.call(key, request)

        def cancel(reason: str) -> None:
            if self._open.pop(key) is not None:
                self._drop(key, reason)

        return cancel

    # The handshake.

    def _agree(self) -> None:
        if self._client is None or self._agreeing is not None:
            return
        self._restarts.started(self._reactor.seconds())
        self._calls = None
        self._set(state=ServerState.STARTING, detail="is being asked which protocol it speaks")
        agreeing = Deferred.fromCoroutine(agree(self._client, self._headers, self._client_info))
        agreeing.addTimeout(HANDSHAKE_TIMEOUT_S, self._reactor)
        self._agreeing = agreeing.addCallbacks(self._agreed, self._not_agreed)

    def _agreed(self, agreed: Agreed) -> None:
        self._agreeing = None
        if self._client is None:
            return
        self._calls = calls = Calls(
            self._client, self._headers, agreed, deliver=self._deliver, ended=self._ended
        )
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
            calls.call(key, request)

    def _not_agreed(self, failure: Failure) -> None:
        self._agreeing = None
        if failure.check(CancelledError) or self._client is None:
            return
        if failure.check(DeferredTimeoutError):
            detail = f"cannot be reached: no answer within {HANDSHAKE_TIMEOUT_S:g} s"
        elif failure.check(Unusable):
            detail = str(failure.value)
        else:
            self._log.failure("cannot talk to {server}", failure, server=self._config.name)
            detail = "cannot be used"
        if detail != self.status.detail:
            self._log.warn("server {server} {detail}", server=self._config.name, detail=detail)
        self._set(state=ServerState.FAILED, detail=detail)
        self._waiting.clear()
        self._open.fail_all(self._failure(detail, Outcome.NOT_DELIVERED))
        delay_s = self._restarts.ended(self._reactor.seconds())
        self._again_call = self._reactor.callLater(delay_s, self._again)

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
        self._retried.discard(delivery.key)
        receiver = self._open.pop(delivery.key)
        if receiver is not None:
            receiver.response(message)

    def _ended(self, ended: Ended) -> None:
        key = ended.key
        if ended.session_lost and key not in self._retried:
            # The server answered 404, so the call did not run; a new session may take it.
            self._retried.add(key)
            self._waiting[key] = ended.request
            self._agree()
            return
        self._retried.discard(key)
        receiver = self._open.pop(key)
        if receiver is not None:
            receiver.call_failed(self._failure(ended.detail, ended.outcome))
        if ended.unreachable:
            self._agree()

    def _drop(self, key: int, reason: str) -> None:
        self._waiting.pop(key, None)
        self._retried.discard(key)
        if self._calls is not None:
            self._calls.cancel(key, reason)

    def _sweep(self) -> None:
        for key in self._open.late(self._reactor.seconds()):
            receiver = self._open.pop(key)
            self._drop(key, "timeout")
            if receiver is not None:
                text = f"gave no answer within {self._open.timeout_s:g} s"
                receiver.call_failed(self._failure(text, Outcome.UNKNOWN))
        self._sweep_call = self._reactor.callLater(SWEEP_INTERVAL_S, self._sweep)

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._changed()

    def _failure(self, detail: str, outcome: Outcome) -> CallFailure:
        return CallFailure(f"The server {self._config.name!r} {detail}.", outcome)


def _already_over(_reason: str) -> None:
    """Cancel nothing."""
