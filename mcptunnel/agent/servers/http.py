"""A local server that runs already and speaks Streamable HTTP."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.python.failure import Failure

from mcptunnel.agent.servers.http_call import Calls
from mcptunnel.agent.servers.http_handshake import (
    Agreed,
    Unusable,
    agree,
    begin_session,
    say_goodbye,
)
from mcptunnel.agent.servers.http_one_way import MAX_ONE_WAY
from mcptunnel.agent.servers.http_passages import Passages
from mcptunnel.agent.servers.http_talk import Ended, Talk, Told
from mcptunnel.agent.servers.interfaces import Passage, PassageFound
from mcptunnel.agent.servers.kept import MAX_WAITING, KeptServer
from mcptunnel.agent.servers.old_calls import OldCalls
from mcptunnel.agent.servers.old_channel import OldChannel, root_of
from mcptunnel.agent.servers.old_handshake import agree_old
from mcptunnel.agent.servers.restarts import RestartPolicy
from mcptunnel.agent.servers.tool_listing import ToolListing
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Request, Response
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.listens import MAX_LISTENS, MAX_LISTENS_OF_ASKER
from mcptunnel.mcp.server_half.request_state import RequestStates
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers, Outcome
from mcptunnel.net.errors import printable
from mcptunnel.net.http1 import Client
from mcptunnel.net.timers import ReactorTimers

HANDSHAKE_TIMEOUT_S: Final = 30.0
JUST_NOW_S: Final = 1.0
"""So long a failed handshake stands: what comes is passed on to a server that we do not understand."""
MAX_IDLE: Final = 256
"""As many connections as streams: with fewer, a busy server is connected to anew for every call."""
MAX_CONNECTIONS: Final = MAX_IDLE + 2 * MAX_ONE_WAY + MAX_LISTENS + MAX_LISTENS_OF_ASKER + 1
"""Calls, what has no answer, listens, the stream of notifications. Further calls wait for one."""


class HttpServer(KeptServer):
    """Carries calls to a server at a URL (`LocalServer`).

    It is asked which era it speaks at the start, and again when an answer shows that this may have
    changed: it could not be reached, or did not answer as MCP. A restart begins afresh, with new
    connections and a new session: the server itself is not ours to restart.

    Without `probe` it is not asked which era it speaks, but greeted as a legacy server.
    """

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        client_info: Raw,
        states: RequestStates,
        changed: Callable[[], None],
        probe: bool = True,
    ) -> None:
        super().__init__(reactor, config, client_info=client_info, states=states, changed=changed)
        self._headers: Headers = tuple(
            (name.lower(), value) for name, value in config.headers.items()
        )
        self._probe = probe
        self._is_tried = not probe
        self._client: Client | None = None
        self._closing: Client | None = None
        self._calls: Talk | None = None
        self._asked: dict[int, Talk] = {}
        self._agreeing: Deferred[Any] | None = None
        self._goodbye: Deferred[None] | None = None
        self._closing_old: list[Deferred[None]] = []
        self._retried: set[int] = set()
        self._passages = Passages(reactor, client_info)
        self._failed_s = float("-inf")

    # What the agent does.

    def _begin(self) -> None:
        self._client = Client(
            self._reactor,
            self._config.url or "",
            max_connections=MAX_CONNECTIONS,
            max_idle=MAX_IDLE,
        )
        self._agree()

    def _forget(self) -> None:
        if self._client is not None:
            self._closing, self._client = self._client, None
        if self._calls is not None and self._closing is not None:
            self._goodbye = Deferred.fromCoroutine(
                say_goodbye(self._reactor, self._closing, self._headers, self._calls.agreed)
            )
        self._leave()
        self._passages.lost()
        if self._agreeing is not None:
            self._agreeing.cancel()
        self._failed_s = float("-inf")
        for pending in (self._asked, self._retried):
            pending.clear()

    def find_passage(self, era: Era, found: PassageFound) -> None:
        client = self._client
        if self._calls is not None or client is None:
            self._passages.find(era, found)
        elif self._reactor.seconds() - self._failed_s < JUST_NOW_S:
            found(self._passage(client))
        else:
            self._passages.wait(era, found)
            self._agree()  # at once: whoever waits for a server need not wait for its next turn

    async def _end(self, grace_s: float) -> None:
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None:
            await goodbye
        await DeferredList(list(self._closing_old))
        await self._passages.over()
        if self._closing is not None:
            await self._closing.close()

    def _takes_calls(self) -> bool:
        is_starting = self.status.state is ServerState.STARTING
        waits = self._comes_soon() or (is_starting and len(self._waiting) < MAX_WAITING)
        return self._calls is not None or waits

    def _ask(self, key: int, request: Request) -> None:
        if self._calls is None:
            self._waiting[key] = request
        else:
            self._asked[key] = self._calls
            self._calls.call(key, request, self._open.asker(key))

    # The handshake.

    def _agree(self) -> None:
        if self._client is None or self._agreeing is not None:
            return
        self._cancel_again()
        self._restarts.started(self._reactor.seconds())
        self._leave()
        self._set(state=ServerState.STARTING, detail="is being asked which protocol it speaks")
        agreeing = Deferred.fromCoroutine(self._agreement(self._client))
        agreeing.addTimeout(HANDSHAKE_TIMEOUT_S, self._reactor)
        self._agreeing = agreeing  # first: it may have failed already
        agreeing.addCallbacks(self._agreed, self._not_agreed, callbackArgs=(self._client,))

    def _agreed(self, found: tuple[Agreed, OldChannel | None], client: Client) -> None:
        agreed, channel = found
        self._agreeing = None
        self._restarts = RestartPolicy()
        self._calls = calls = self._talk(client, agreed, channel)
        calls.begin()
        self._passages.agreed(client, agreed, self._passage(client))
        self._is_ready(agreed.info)
        waiting, self._waiting = self._waiting, {}
        for key, request in waiting.items():
            self._ask(key, request)

    def _passage(self, client: Client) -> Passage:
        def unreachable() -> None:
            if client is self._client and self._calls is not None:
                self._session_over()

        return Passage(
            client,
            self._headers,
            takes_query=not urlsplit(self._config.url or "").query,
            unreachable=unreachable,
        )

    async def _agreement(self, client: Client) -> tuple[Agreed, OldChannel | None]:
        info = self._context.client_info
        if not self._probe:
            return await begin_session(client, self._headers, info), None
        try:
            return await agree(client, self._headers, info), None
        except Unusable as error:
            if not rules.may_be_old(error.status):
                raise
            url = self._config.url or ""
            root = Client(self._reactor, root_of(url), max_connections=MAX_CONNECTIONS)
            channel = OldChannel(root, url, self._headers)
            try:
                return await agree_old(channel, info), channel
            except BaseException as problem:
                self._close_old(channel)
                if isinstance(problem, Unusable) and not channel.was_open:
                    raise error from problem  # it is no server of that kind either
                raise

    def _close_old(self, channel: OldChannel) -> None:
        closing = Deferred.fromCoroutine(channel.close())
        self._closing_old.append(closing)
        closing.addCallback(lambda _none: self._closing_old.remove(closing))
        closing.addErrback(lambda failure: self._log.failure("cannot leave a server", failure))

    def _talk(self, client: Client, agreed: Agreed, channel: OldChannel | None) -> Talk:
        told = Told(self._deliver, self._ended, self._lists_changed, self._session_over)
        if channel is not None:
            context, close = self._context, self._close_old
            return OldCalls(self._reactor, channel, agreed, context, told, close)
        return Calls(self._reactor, client, self._headers, agreed, self._context, told)

    def _leave(self) -> None:
        """Begin nothing more on the present conversation; what is under way goes on."""
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.retire()

    def _session_over(self) -> None:
        self._leave()
        self._agree()

    def _not_agreed(self, failure: Failure) -> None:
        self._agreeing = None
        if failure.check(CancelledError):
            return
        detail = self._words(failure)
        self._troubled(detail)
        waiting, self._waiting = self._waiting, {}
        for key in waiting:
            self._fail(key, detail, Outcome.NOT_DELIVERED)
        self._try_later()
        self._failed_s = self._reactor.seconds()
        if self._client is not None:
            self._passages.lost(self._passage(self._client))

    def _words(self, failure: Failure) -> str:
        if failure.check(DeferredTimeoutError):
            return f"cannot be reached: no answer within {HANDSHAKE_TIMEOUT_S:g} s"
        if failure.check(Unusable):
            return printable(str(failure.value))
        self._log.failure("cannot talk to {server}", failure, server=self._config.name)
        return "cannot be used"

    def _again(self) -> None:
        self._agree()

    # Calls under way.

    def _deliver(self, delivery: Deliver) -> None:
        if isinstance(delivery.message, Response):
            self._asked.pop(delivery.key, None)
            self._retried.discard(delivery.key)
        super()._deliver(delivery)

    def _ended(self, ended: Ended) -> None:
        key = ended.key
        # A call of an earlier handshake says nothing of the present one.
        doubtful = ended.ask_again and self._asked.get(key) is self._calls
        self._asked.pop(key, None)
        if doubtful:
            self._leave()
        if ended.session_lost and key not in self._retried:
            self._retried.add(key)
            self._ask(key, ended.request)
        elif ended.list_first and key not in self._retried:
            self._retried.add(key)
            self._ask_with_headers(key, ended.request)
        else:
            self._retried.discard(key)
            self._fail(key, ended.detail, ended.outcome)
        if doubtful or key in self._waiting:
            self._agree()

    def _ask_with_headers(self, key: int, request: Request) -> None:
        """Learn which headers the tools want, and make the call again if somebody waits for it."""

        def listed(_annotated: object) -> None:
            if key in self._open:
                self._ask(key, request)

        ToolListing(self, ReactorTimers(self._reactor), listed).begin()

    def _parked_count(self) -> int:
        return 0 if self._calls is None else self._calls.parked_count

    def _sweep(self) -> None:
        if self._calls is not None:
            self._calls.tick(self._reactor.seconds())
        super()._sweep()

    def pause_call(self, key: int) -> None:
        if key in self._asked:
            self._asked[key].pause(key)

    def resume_call(self, key: int) -> None:
        if key in self._asked:
            self._asked[key].resume(key)

    def _drop(self, key: int, reason: str) -> None:
        self._waiting.pop(key, None)
        self._retried.discard(key)
        calls = self._asked.pop(key, None)
        if key in self._context.listens:  # which moved on to the present conversation
            calls = self._calls
        if calls is not None:
            calls.cancel(key, reason)
