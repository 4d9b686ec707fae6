"""The whole conversation with one stdio child process, as a modern server, without I/O.

Bytes and time go in; actions come out, to be carried out in order. Modern requests are asked of the
child in its own era. A child is one process: after its end a new `Child` begins.
"""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Message, Notification, Request, Response
from mcptunnel.mcp.server_half import handshake, translate
from mcptunnel.mcp.server_half.actions import (
    Action,
    Deliver,
    Failed,
    Junk,
    Lost,
    LostCause,
    ProbeKilled,
    Ready,
    ToolsChanged,
    Write,
)
from mcptunnel.mcp.server_half.calls import OpenCalls
from mcptunnel.mcp.server_half.handshake import HandshakeError, ServerInfo
from mcptunnel.mcp.server_half.phases import TRANSITIONS, Event, Phase
from mcptunnel.mcp.server_half.unreadable import failed_answer
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome

MAX_WAITING: Final = 256
"""Calls that may wait for a child to become ready."""

_SAMPLE_BYTES: Final = 200
# What a server says that took the probe for the beginning of a modern conversation.
_ERA_LOCKED: Final = frozenset({jsonrpc.UNSUPPORTED_PROTOCOL_VERSION, jsonrpc.INVALID_REQUEST})


_STARTING: Final = frozenset({Phase.PROBING, Phase.INITIALIZING})


class Child:
    """One child process and the calls on it.

    `probe=False` begins with `initialize`: for the process after one that the probe spoilt.
    `client_info` is our own Implementation object. Keys of calls are the caller's, one per open
    call. Nothing here raises for what a child writes.
    """

    def __init__(
        self,
        *,
        client_info: Raw,
        now_s: float,
        probe: bool = True,
        probe_timeout_s: float = 3.0,
        initialize_timeout_s: float = 60.0,
    ) -> None:
        self.phase = Phase.PROBING if probe else Phase.INITIALIZING
        self.info: ServerInfo | None = None
        self.next_tick_s: float | None = None
        self.junk_count = 0
        self._client_info = client_info
        self._started_s = now_s
        self._probe_timeout_s = probe_timeout_s
        self._initialize_timeout_s = initialize_timeout_s
        self._probed = probe
        self._probe_id: int | None = None
        self._initialize_id: int | None = None
        self._waiting: dict[int, Request] = {}
        self._calls = OpenCalls()
        self._paused = False
        self._owed_pong: Response | None = None
        self._actions: list[Action] = []

    def take_actions(self) -> list[Action]:
        """Return what is to be done now, in order, and forget it."""
        actions, self._actions = self._actions, []
        return actions

    # The process

    def start(self) -> None:
        """Begin the conversation; once, when the process runs."""
        if self.phase is Phase.PROBING:
            self._probe_id = self._calls.new_id()
            self.next_tick_s = self._started_s + self._probe_timeout_s
            self._write(handshake.discover_request(self._probe_id, self._client_info))
        else:
            self._initialize(self._started_s)

    def tick(self, now_s: float) -> None:
        """Let time pass; due at `next_tick_s`."""
        if self.next_tick_s is None or now_s < self.next_tick_s:
            return
        if self.phase is Phase.PROBING:
            self._not_modern(now_s)
        elif self._probe_id is not None:
            self._refused(None)  # never a word, and the probe may be why
        else:
            waited = f"{self._initialize_timeout_s:g} s"
            self._refused(f"The server did not answer initialize within {waited}")

    def exited(self) -> None:
        """Say that the process has ended and its output was read to the end."""
        starting = self.phase in _STARTING
        if not self._advance(Event.EXITED):
            return
        for key in self._calls.drain():
            self._actions.append(Lost(key, LostCause.EXITED, Outcome.UNKNOWN))
        if starting:
            self._give_up(None if self._probed else "The server exited before it was initialized")

    def writing_paused(self) -> None:
        """Say that the child does not read what is written: pings are not answered for now."""
        self._paused = True

    def writing_resumed(self) -> None:
        """Say that the child has read everything; the last ping is answered."""
        self._paused = False
        if self._owed_pong is not None:
            self._write(self._owed_pong)
            self._owed_pong = None

    # Calls

    def call(self, key: int, request: Request) -> None:
        """Ask a modern request of the child, as soon as it is ready."""
        if self.info is not None and self.phase is Phase.READY:
            self._ask(key, request, self.info)
        elif self.phase not in _STARTING:
            cause = LostCause.FAILED if self.phase is Phase.FAILED else LostCause.EXITED
            self._actions.append(Lost(key, cause, Outcome.NOT_DELIVERED))
        elif len(self._waiting) >= MAX_WAITING:
            self._actions.append(Lost(key, LostCause.BUSY, Outcome.NOT_DELIVERED))
        else:
            self._waiting[key] = request

    def cancel(self, key: int, reason: str) -> None:
        """Drop a call; if it was written the child is told. A call that is over is ignored."""
        self._waiting.pop(key, None)
        own = self._calls.forget(key)
        if own is not None:
            params = {"requestId": jsonrpc.raw(own), "reason": jsonrpc.raw(reason)}
            self._write(Notification("notifications/cancelled", params))

    def _ask(self, key: int, request: Request, info: ServerInfo) -> None:
        if request.method == handshake.DISCOVER and info.era is Era.LEGACY:
            known = Response(request.id, translate.discover_result(info))
            self._actions.append(Deliver(key, known))
            return
        try:
            line = self._calls.open(key, request, info.era)
        except JsonRpcError as error:
            self._actions.append(Deliver(key, error.response(request.id)))
        else:
            self._actions.append(Write(line))

    # What the child writes

    def receive_line(self, line: bytes, now_s: float) -> None:
        """Take one line of the child's output, with or without its line end."""
        if self.phase is Phase.FAILED or self.phase is Phase.GONE:
            return
        message = self._read(line, now_s)
        if isinstance(message, Batch):  # 2025-03-26 servers may write them
            self._receive_batch(message, line, now_s)
        elif message is not None:
            self._receive(message, now_s)

    def _receive_batch(self, batch: Batch, line: bytes, now_s: float) -> None:
        if not batch.items:
            self._junk(line)
        for item in batch.items:
            message = self._read(bytes(item), now_s)
            if message is None:  # some printed list: one complaint is enough
                return
            if isinstance(message, Batch):
                self._junk(line)
                return
            self._receive(message, now_s)

    def _read(self, line: bytes, now_s: float) -> Message | Batch | None:
        try:
            return jsonrpc.parse(line)
        except JsonRpcError as error:
            self._unreadable(line, error, now_s)
            return None

    def _receive(self, message: Message, now_s: float) -> None:
        if isinstance(message, Response):
            self._answered(message, now_s)
        elif isinstance(message, Notification):
            self._notified(message)
        elif self.info is not None and self.info.era is Era.MODERN:
            self.junk_count += 1  # a modern server asks nothing, and must not be answered
        elif message.method == "ping":
            self._pinged(Response(message.id, Raw(b"{}")))
        else:
            refusal = JsonRpcError(jsonrpc.METHOD_NOT_FOUND, f"Method not found: {message.method}")
            self._write(refusal.response(message.id))

    def _pinged(self, pong: Response) -> None:
        """Answer, but keep no heap of answers for a child that does not read them."""
        if self._paused:
            self._owed_pong = pong
        else:
            self._write(pong)

    def _answered(self, response: Response, now_s: float) -> None:
        delivery = None if self.info is None else self._calls.answer(response, self.info)
        if delivery is not None:
            self._actions.append(delivery)
        elif self._answers_probe(response):
            self._probe_answered(response, now_s)
        elif self._initialize_id is not None and response.id == self._initialize_id:
            self._initialize_answered(response)
        elif not self._calls.issued(response.id):
            self.junk_count += 1

    def _answers_probe(self, response: Response) -> bool:
        if self._probe_id is None:
            return False
        # Servers that could not make sense of a request may answer without its id.
        unnamed = response.id is None and self.phase is Phase.PROBING
        return unnamed or response.id == self._probe_id

    def _notified(self, notification: Notification) -> None:
        if notification.method == "notifications/progress":
            delivery = self._calls.progress(notification)
            if delivery is not None:
                self._actions.append(delivery)
        elif notification.method == "notifications/tools/list_changed" and self.info is not None:
            self._actions.append(ToolsChanged())

    def _unreadable(self, line: bytes, error: JsonRpcError, now_s: float) -> None:
        """Count a line that is no JSON-RPC; what it tried to answer is not left waiting."""
        if not line.strip():
            return
        self._junk(line)
        failed = failed_answer(line, error)
        if failed is not None and self._calls.issued(failed.id):
            self._answered(failed, now_s)

    def _junk(self, line: bytes) -> None:
        self.junk_count += 1
        self._actions.append(Junk(line[:_SAMPLE_BYTES].decode(errors="replace")))

    # The handshake

    def _probe_answered(self, response: Response, now_s: float) -> None:
        self._probe_id = None
        info = handshake.read_discover(response)
        if info is not None:
            self._ready(Event.FOUND_MODERN, info)
        else:
            self._not_modern(now_s)

    def _not_modern(self, now_s: float) -> None:
        if self._advance(Event.NOT_MODERN):
            self._initialize(now_s)

    def _initialize(self, now_s: float) -> None:
        self._initialize_id = self._calls.new_id()
        self.next_tick_s = now_s + self._initialize_timeout_s
        self._write(handshake.initialize_request(self._initialize_id, self._client_info))

    def _initialize_answered(self, response: Response) -> None:
        self._initialize_id = None
        try:
            info = handshake.read_initialize(response)
        except HandshakeError as error:
            modern = handshake.named_in_error(response)
            if self._probed and error.code in _ERA_LOCKED:
                self._refused(None)
            elif modern is not None:
                self._ready(Event.FOUND_MODERN, modern)
            else:
                self._refused(str(error))
        else:
            self._actions.append(Write(handshake.INITIALIZED))
            self._ready(Event.INITIALIZED, info)

    def _ready(self, event: Event, info: ServerInfo) -> None:
        if not self._advance(event):
            return
        self.info = info
        self._probe_id = self._initialize_id = None
        self._actions.append(Ready(info))
        waiting, self._waiting = self._waiting, {}
        for key, request in waiting.items():
            self._ask(key, request, info)

    def _refused(self, reason: str | None) -> None:
        if self._advance(Event.REFUSED):
            self._give_up(reason)

    def _give_up(self, reason: str | None) -> None:
        """End for good, with a reason; or, without one, leave it to a process without a probe."""
        waiting, self._waiting = self._waiting, {}
        if reason is None:
            self._actions.append(ProbeKilled(tuple(waiting.items())))
            return
        self._actions.append(Failed(reason))
        for key in waiting:
            self._actions.append(Lost(key, LostCause.FAILED, Outcome.NOT_DELIVERED))

    def _advance(self, event: Event) -> bool:
        following = TRANSITIONS.get((self.phase, event))
        if following is None:
            return False
        self.phase = following
        self.next_tick_s = None
        return True

    def _write(self, message: Message) -> None:
        self._actions.append(Write(jsonrpc.encode(message)))
