"""The whole conversation with one stdio child process, as a modern server, without I/O.

Bytes and time go in; actions come out, to be carried out in order. Modern requests are asked of the
child in its own era. A child is one process: after its end a new `Child` begins.
"""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Message, Request, Response
from mcptunnel.mcp.server_half import capabilities, handshake
from mcptunnel.mcp.server_half.actions import (
    Action,
    Failed,
    Junk,
    Lost,
    LostCause,
    ProbeKilled,
    Ready,
    Write,
)
from mcptunnel.mcp.server_half.calls import OpenCalls
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.conversation import Conversation
from mcptunnel.mcp.server_half.handshake import HandshakeError, Offer, ServerInfo
from mcptunnel.mcp.server_half.lines import messages
from mcptunnel.mcp.server_half.phases import TRANSITIONS, Event, Phase
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import Outcome

MAX_WAITING: Final = 256
"""Calls that may wait for a child to become ready."""

# What a server says that took the probe for the beginning of a modern conversation.
_ERA_LOCKED: Final = frozenset({jsonrpc.UNSUPPORTED_PROTOCOL_VERSION, jsonrpc.INVALID_REQUEST})

_STARTING: Final = frozenset({Phase.PROBING, Phase.INITIALIZING})


class Child:
    """One child process and the calls on it.

    `probe=False` begins with `initialize`: for the process after one that the probe spoilt; `offer` is
    what is offered with it. Keys of calls are the caller's, one per open call. Nothing here raises for
    what a child writes.
    """

    def __init__(
        self,
        *,
        context: ServerContext,
        now_s: float,
        probe: bool = True,
        offer: Offer = Offer.FULL,
        probe_timeout_s: float = 3.0,
        initialize_timeout_s: float = 60.0,
    ) -> None:
        self.phase = Phase.PROBING if probe else Phase.INITIALIZING
        self.info: ServerInfo | None = None
        self.next_tick_s: float | None = None
        self.junk_count = 0
        self._context = context
        self._now_s = now_s
        self._offer = offer
        self._probe_timeout_s = probe_timeout_s
        self._initialize_timeout_s = initialize_timeout_s
        self._probed = probe
        self._probe_id: int | None = None
        self._initialize_id: int | None = None
        self._waiting: dict[int, tuple[Request, Asker]] = {}
        self._calls = OpenCalls()
        self._conversation: Conversation | None = None
        self._paused = False
        self._owed_reply: Write | None = None
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
            self.next_tick_s = self._now_s + self._probe_timeout_s
            self._write(handshake.discover_request(self._probe_id, self._context.client_info))
        else:
            self._initialize(self._now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass; due at `next_tick_s`, and about once a second."""
        self._now_s = now_s
        if self._conversation is not None:
            self._conversation.tick(now_s)
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
        if self._owed_reply is not None:
            self._actions.append(self._owed_reply)
            self._owed_reply = None

    # Calls

    def call(self, key: int, request: Request, asker: Asker = NOBODY) -> None:
        """Ask a modern request of the child, as soon as it is ready."""
        if self._conversation is not None and self.phase is Phase.READY:
            self._conversation.call(key, request, asker, now_s=self._now_s)
        elif self.phase not in _STARTING:
            cause = LostCause.FAILED if self.phase is Phase.FAILED else LostCause.EXITED
            self._actions.append(Lost(key, cause, Outcome.NOT_DELIVERED))
        elif len(self._waiting) >= MAX_WAITING:
            self._actions.append(Lost(key, LostCause.BUSY, Outcome.NOT_DELIVERED))
        else:
            self._waiting[key] = request, asker

    def cancel(self, key: int, reason: str) -> None:
        """Drop a call; if it was written the child is told. A call that is over is ignored."""
        self._waiting.pop(key, None)
        if self._conversation is not None:
            self._conversation.cancel(key, reason)
        else:
            self._context.listens.pop(key)

    @property
    def parked_count(self) -> int:
        """How many calls wait for answers of their clients."""
        return self._calls.parked_count

    # What the child writes

    def receive_line(self, line: bytes, now_s: float) -> None:
        """Take one line of the child's output, with or without its line end."""
        if self.phase is Phase.FAILED or self.phase is Phase.GONE:
            return
        self._now_s = now_s
        for message in messages(line, self._junk):
            self._receive(message, now_s)

    def _receive(self, message: Message, now_s: float) -> None:
        if self._conversation is not None:
            self.junk_count += not self._conversation.received(message, now_s)
        elif isinstance(message, Response):
            self._answered(message, now_s)
        elif isinstance(message, Request):
            self._asked_at_start(message)

    def _asked_at_start(self, request: Request) -> None:
        if request.method == "ping":
            answer = Response(request.id, Raw(b"{}"))
        else:
            answer = capabilities.unknown(request.method).response(request.id)
        self._emit(Write(jsonrpc.encode(answer), is_reply=True))

    def _emit(self, action: Action) -> None:
        """Do something, but keep no heap of answers for a child that does not read them."""
        if self._paused and isinstance(action, Write) and action.is_reply:
            self._owed_reply = action
        else:
            self._actions.append(action)

    def _answered(self, response: Response, now_s: float) -> None:
        if self._answers_probe(response):
            self._probe_answered(response, now_s)
        elif self._initialize_id is not None and response.id == self._initialize_id:
            self._initialize_answered(response, now_s)
        elif not self._calls.issued(response.id):
            self.junk_count += 1

    def _answers_probe(self, response: Response) -> bool:
        if self._probe_id is None:
            return False
        # Servers that could not make sense of a request may answer without its id.
        unnamed = response.id is None and self.phase is Phase.PROBING
        return unnamed or response.id == self._probe_id

    def _junk(self, sample: str) -> None:
        self.junk_count += 1
        self._actions.append(Junk(sample))

    # The handshake

    def _probe_answered(self, response: Response, now_s: float) -> None:
        self._probe_id = None
        info = handshake.read_discover(response)
        if info is not None:
            self._ready(Event.FOUND_MODERN, info, now_s)
        else:
            self._not_modern(now_s)

    def _not_modern(self, now_s: float) -> None:
        if self._advance(Event.NOT_MODERN):
            self._initialize(now_s)

    def _initialize(self, now_s: float) -> None:
        self._initialize_id = self._calls.new_id()
        self.next_tick_s = now_s + self._initialize_timeout_s
        self._write(
            handshake.initialize_request(
                self._initialize_id, self._context.client_info, self._offer
            )
        )

    def _initialize_answered(self, response: Response, now_s: float) -> None:
        self._initialize_id = None
        try:
            info = handshake.read_initialize(response)
        except HandshakeError as error:
            self._not_initialized(response, error, now_s)
        else:
            self._actions.append(Write(handshake.INITIALIZED))
            self._ready(Event.INITIALIZED, info, now_s)

    def _not_initialized(self, response: Response, error: HandshakeError, now_s: float) -> None:
        modern = handshake.named_in_error(response)
        lesser = handshake.lesser_offer(self._offer, error)
        if self._probed and error.code in _ERA_LOCKED:
            self._refused(None)
        elif modern is not None:
            self._ready(Event.FOUND_MODERN, modern, now_s)
        elif lesser is not None:
            self._offer = lesser
            self._initialize(now_s)
        else:
            self._refused(str(error))

    def _ready(self, event: Event, info: ServerInfo, now_s: float) -> None:
        if not self._advance(event):
            return
        self.info = info
        self._probe_id = self._initialize_id = None
        self._actions.append(Ready(info))
        self._conversation = Conversation(info, self._calls, self._context, self._emit)
        self._conversation.begin()
        waiting, self._waiting = self._waiting, {}
        for key, (request, asker) in waiting.items():
            self._conversation.call(key, request, asker, now_s=now_s, early=True)

    def _refused(self, reason: str | None) -> None:
        if self._advance(Event.REFUSED):
            self._give_up(reason)

    def _give_up(self, reason: str | None) -> None:
        """End for good, with a reason; or, without one, leave it to a process without a probe."""
        waiting, self._waiting = self._waiting, {}
        if reason is None:
            asked = tuple((key, request) for key, (request, _asker) in waiting.items())
            self._actions.append(ProbeKilled(asked))
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
