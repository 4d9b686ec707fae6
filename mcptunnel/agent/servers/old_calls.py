"""What is asked of one server of 2024-11-05: all its answers come on one stream."""

from collections.abc import Callable
from typing import Any

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_talk import Ended, Told
from mcptunnel.agent.servers.old_channel import OldChannel
from mcptunnel.agent.servers.old_handshake import INITIALIZE_ID
from mcptunnel.mcp.jsonrpc import Message, Request, Response
from mcptunnel.mcp.server_half import actions as core
from mcptunnel.mcp.server_half.calls import OpenCalls as OwnIds
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.conversation import Conversation
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import Outcome


class OldCalls:
    """Makes calls over one channel (`Talk`), which is closed with it."""

    def __init__(
        self,
        reactor: Any,
        channel: OldChannel,
        agreed: Agreed,
        context: ServerContext,
        told: Told,
        ending: Callable[[OldChannel], None],
    ) -> None:
        self._reactor = reactor
        self._channel = channel
        self.agreed = agreed
        self._told = told
        self._ending = ending
        self._ids = OwnIds()
        while self._ids.new_id() < INITIALIZE_ID:
            pass
        self._actions: list[core.Action] = []
        self._conversation = Conversation(agreed.info, self._ids, context, self._actions.append)
        self._requests: dict[int, Request] = {}

    @property
    def parked_count(self) -> int:
        return self._ids.parked_count

    def begin(self) -> None:
        self._conversation.begin()
        self._perform()
        self._channel.attend(self._message, self._closed)

    def retire(self) -> None:
        self._ending(self._channel)
        self._lose_all("was left for a new session")

    def call(self, key: int, request: Request, asker: Asker = NOBODY) -> None:
        self._requests[key] = request
        self._conversation.call(key, request, asker, now_s=self._reactor.seconds())
        self._perform()

    def cancel(self, key: int, reason: str) -> None:
        self._requests.pop(key, None)
        self._conversation.cancel(key, reason)
        self._perform()

    def tick(self, now_s: float) -> None:
        self._conversation.tick(now_s)
        self._perform()

    def pause(self, key: int) -> None:
        """Nothing: all calls share the stream."""

    def resume(self, key: int) -> None:
        """Nothing, as above."""

    def _message(self, message: Message) -> None:
        self._conversation.received(message, self._reactor.seconds())
        self._perform()

    def _closed(self, problem: str) -> None:
        self._lose_all(problem)
        self._told.session_over()

    def _lose_all(self, problem: str) -> None:
        for key in self._conversation.end():
            request = self._requests.pop(key, None)
            if request is not None:
                self._told.ended(Ended(key, request, problem, Outcome.UNKNOWN))

    def _perform(self) -> None:
        while self._actions:
            actions = list(self._actions)
            self._actions.clear()
            for action in actions:
                self._do(action)

    def _do(self, action: core.Action) -> None:
        match action:
            case core.Write(line=line, own=own):
                self._channel.post(line, lambda *why: self._not_taken(own, *why))
            case core.Deliver():
                if isinstance(action.message, Response):
                    self._requests.pop(action.key, None)
                self._told.deliver(action)
            case core.Lost():
                detail = "began a new session while the call waited for answers of its client"
                request = self._requests.pop(action.key)
                self._told.ended(Ended(action.key, request, detail, action.outcome))
            case core.ListsChanged():
                self._told.lists_changed()

    def _not_taken(self, own: int | None, problem: str, may_have_run: bool) -> None:
        """Fail the call whose request the server did not take."""
        key = None if own is None else self._conversation.lost(own, may_run=may_have_run)
        request = None if key is None else self._requests.pop(key, None)
        if key is not None and request is not None:
            outcome = Outcome.UNKNOWN if may_have_run else Outcome.NOT_DELIVERED
            self._told.ended(Ended(key, request, problem, outcome, ask_again=True))
