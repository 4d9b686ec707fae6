"""The conversation with a local server once it is known how to talk to it, whatever carries it.

Modern requests come in; messages for the server and answers for the callers come out, as actions. One
conversation belongs to one process or session of the server, and is over with it.
"""

from collections.abc import Callable

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Message, Notification, Request, Response
from mcptunnel.mcp.meta import LogLevel
from mcptunnel.mcp.server_half import levels, translate
from mcptunnel.mcp.server_half.actions import Action, Deliver, Dropped, ListsChanged, Write
from mcptunnel.mcp.server_half.calls import Call, OpenCalls
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.emulated_listens import EmulatedListens
from mcptunnel.mcp.server_half.handshake import DISCOVER, ServerInfo
from mcptunnel.mcp.server_half.listens import KIND_OF, LISTEN, OWN_KEY, UPDATED
from mcptunnel.mcp.server_half.passed_listens import PassedListens
from mcptunnel.mcp.server_half.questions import Questions
from mcptunnel.mcp.server_half.request_state import STATE
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era

CANCELLED = "notifications/cancelled"


class Conversation:
    """What is said to and by one server.

    `calls` gives the ids, also those of the handshake. `streams` says that each request has a stream
    of its own, so that messages have an `origin`, the own id of the request.
    """

    def __init__(
        self,
        info: ServerInfo,
        calls: OpenCalls,
        context: ServerContext,
        emit: Callable[[Action], None],
        *,
        streams: bool = False,
    ) -> None:
        self.info = info
        self._calls = calls
        listens = self._all_listens = context.listens
        self._emit = emit
        self._streams = streams
        self._is_legacy = info.era is Era.LEGACY
        self._logs = "logging" in jsonrpc.members(info.capabilities)
        self._level: LogLevel | None = None
        self._questions = Questions(calls, context, info, emit)
        self._emulated: EmulatedListens | None = None
        self._passed: PassedListens | None = None
        if self._is_legacy:
            self._emulated = EmulatedListens(listens, info, calls.new_id, emit, self._drop)
        else:
            self._passed = PassedListens(listens, info, calls.new_id, emit)

    def begin(self) -> None:
        """Ask a fresh server for what those who listen want; once, before any call."""
        self._all_listens.pop(OWN_KEY)
        if self._emulated is not None:
            self._emulated.resume()
        elif self._passed is not None:
            self._passed.resume()

    # Calls.

    def call(
        self,
        key: int,
        request: Request,
        asker: Asker = NOBODY,
        *,
        now_s: float,
        early: bool = False,
    ) -> None:
        """Ask a modern request of the server; `early` says that it waited for the server's start."""
        if request.method == LISTEN:
            self._listen(key, request, asker)
        elif self._is_legacy and request.method == DISCOVER:
            known = Response(request.id, translate.discover_result(self.info))
            self._emit(Deliver(key, known))
        elif self._is_legacy and STATE in request.params:
            self._questions.retried(key, request, asker, now_s)
        else:
            self._ask(key, request, asker, early=early)

    def cancel(self, key: int, reason: str) -> None:
        """Drop a call; the server is told. A call that is over is ignored."""
        listen = self._all_listens.pop(key)
        if listen is None:
            call = self._calls.of_key(key)
            if call is not None:
                self._give_up(call, key)
                self._cancelled(call.own, reason)
        elif self._emulated is not None:
            self._emulated.closed(listen)
        elif self._passed is not None:
            own = self._passed.closed(listen)
            if own is not None:
                self._cancelled(own, reason)

    def lost(self, own: int, *, may_run: bool = False) -> int | None:
        """Forget the request whose stream ended without an answer, and return its caller's key.

        None if nobody waits for it; a listen is asked for again. `may_run` says that the server may
        work on it all the same.
        """
        if self._passed is not None and self._passed.broken(own):
            return None
        call = self._calls.get(own)
        if call is None:
            return None
        if may_run and self._is_legacy:
            self._questions.gave_up(call)
        if call.key is None:
            self._calls.drop(call)
            return None
        self._calls.forget(call.key)
        return call.key

    def tick(self, now_s: float) -> None:
        """Let time pass; about once a second."""
        for call in self._questions.tick(now_s):
            self._drop(call.own)
        if self._passed is not None:
            self._passed.tick(now_s)
        if self._emulated is not None:
            self._emulated.tick(now_s)

    def retire(self) -> None:
        """Listen no more: another conversation with the server does."""
        if self._passed is not None:
            self._passed.retire()
        if self._emulated is not None:
            self._emulated.retire()

    def end(self) -> list[int]:
        """Forget all calls; return the keys of those that somebody waits for. Listens stay."""
        return self._calls.drain()

    def _ask(self, key: int, request: Request, asker: Asker, *, early: bool) -> None:
        try:
            line = self._calls.open(key, request, self.info.era, asker)
        except JsonRpcError as error:
            self._emit(Deliver(key, error.response(request.id)))
            return
        call = self._calls.of_key(key)
        if call is None:
            return
        call.came_early = early
        if self._is_legacy and self._logs and call.level is not None:
            self._set_level()
        self._emit(Write(line, call.own))

    def _give_up(self, call: Call, key: int) -> None:
        """Let nobody wait for a call; a legacy server may still ask for it."""
        self._calls.forget(key)
        if self._is_legacy:
            self._questions.gave_up(call)

    def _set_level(self) -> None:
        """Let the server log what the most curious of all calls under way wants."""
        level = levels.most_verbose(call.level for call in self._calls)
        if level is not None and level != self._level:
            self._level = level
            self._write(
                Request(self._calls.new_id(), "logging/setLevel", {"level": jsonrpc.raw(level)})
            )

    def _listen(self, key: int, request: Request, asker: Asker) -> None:
        try:
            listen = self._all_listens.add(key, request, asker)
        except JsonRpcError as error:
            self._emit(Deliver(key, error.response(request.id)))
            return
        if self._emulated is not None:
            self._emulated.opened(listen)
        elif self._passed is not None:
            self._passed.opened(listen)

    def _cancelled(self, own: int, reason: str) -> None:
        if self._is_legacy or not self._streams:
            params = {"requestId": jsonrpc.raw(own), "reason": jsonrpc.raw(reason)}
            self._write(Notification(CANCELLED, params))
        self._drop(own)

    def _drop(self, own: int) -> None:
        if self._streams:
            self._emit(Dropped(own))

    # What the server says.

    def received(self, message: Message, now_s: float, origin: int | None = None) -> bool:
        """Take a message; False if it makes no sense here."""
        if isinstance(message, Response):
            return self._answered(message)
        if isinstance(message, Notification):
            self._notified(message, origin)
            return True
        if not self._is_legacy:  # a modern server asks nothing, and must not be answered
            return False
        if message.method == "ping":
            self._emit(Write(jsonrpc.encode(Response(message.id, Raw(b"{}"))), is_reply=True))
        else:
            self._questions.asked(message, origin, now_s)
        return True

    def _answered(self, response: Response) -> bool:
        delivery = self._calls.answer(response, self.info)
        if delivery is not None:
            self._emit(delivery)
            return True
        if self._passed is not None and self._passed.answered(response):
            return True
        if self._emulated is not None and self._emulated.answered(response):
            return True
        self._questions.answered(response.id)
        return self._calls.issued(response.id)

    def _notified(self, notification: Notification, origin: int | None) -> None:
        method = notification.method
        if method == "notifications/progress":
            delivery = self._calls.progress(notification)
            if delivery is not None:
                self._emit(delivery)
        elif method == "notifications/message":
            self._logged(notification, origin)
        elif self._passed is not None:
            if not self._passed.notified(notification):
                self._unnamed(method, self._passed)
        elif method in KIND_OF or method == UPDATED:
            if method in KIND_OF:
                self._emit(ListsChanged())
            if self._emulated is not None:
                self._emulated.notified(notification)
        elif method == CANCELLED:
            self._withdrawn(notification)

    def _unnamed(self, method: str, passed: PassedListens) -> None:
        """Take a change that a modern server tells nobody in particular."""
        if method in KIND_OF and not passed.follows_lists():
            self._emit(ListsChanged())

    def _withdrawn(self, notification: Notification) -> None:
        try:
            question_id = jsonrpc.decode(notification.params.get("requestId", b"null"))
        except JsonRpcError:
            return
        if isinstance(question_id, str | int):
            self._questions.withdrawn(question_id)

    def _logged(self, notification: Notification, origin: int | None) -> None:
        """Pass a log message on to the one request that it can only belong to."""
        call = self._calls.get(origin) if origin is not None else self._only_call()
        if call is None or call.key is None:
            return
        if levels.shows(call.level, jsonrpc.text(notification.params.get("level"))):
            self._emit(Deliver(call.key, notification))

    def _only_call(self) -> Call | None:
        found = iter(self._calls)
        first = next(found, None)
        if first is None or next(found, None) is not None:
            return None
        return first if self._questions.is_only(first.asker) else None

    def _write(self, message: Message) -> None:
        self._emit(Write(jsonrpc.encode(message)))
