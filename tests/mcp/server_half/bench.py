"""A conversation on paper, after the handshake: what is said to the server, what callers hear."""

import json
from typing import Any

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.server_half.actions import Action, Deliver, Dropped, Lost, Write
from mcptunnel.mcp.server_half.calls import OpenCalls
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.conversation import Conversation
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.talk import US, delivered, new_states, request, written

KEN, EVE = Asker("local|ken", "key-1"), Asker("local|eve", "key-2")
ASKS: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
FULL = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "logging": {},
}


def info(era: Era = Era.LEGACY, capabilities: object = FULL) -> ServerInfo:
    version = "2025-11-25" if era is Era.LEGACY else "2026-07-28"
    return ServerInfo(era, version, jsonrpc.raw(capabilities), Raw(b'{"name":"files"}'))


def declaring(capabilities: object = None, **about: object) -> dict[str, Any]:
    """`_meta` of a client with these capabilities, by default all that servers may ask for."""
    declared = ASKS if capabilities is None else capabilities
    return {"io.modelcontextprotocol/clientCapabilities": declared, **about}


class Bench:
    """One server and its callers; `context` is there for the conversation after this one."""

    def __init__(
        self,
        about: ServerInfo | None = None,
        *,
        context: ServerContext | None = None,
        shared: bool = True,
        streams: bool = False,
    ) -> None:
        self.context = context or ServerContext(US, new_states(), shared=shared)
        self.now_s = 0.0
        self._actions: list[Action] = []
        self._keys = iter(range(1, 1_000_000))
        self.conversation = Conversation(
            about or info(), OpenCalls(), self.context, self._actions.append, streams=streams
        )
        self.conversation.begin()

    def take(self) -> list[Action]:
        found = list(self._actions)
        self._actions.clear()
        return found

    def sent(self) -> list[dict[str, Any]]:
        """What was said to the server since the last look at anything, decoded."""
        return written(self.take())

    def heard(self) -> list[tuple[int, dict[str, Any]]]:
        """What callers heard since the last look at anything, decoded."""
        return delivered(self.take())

    def call(self, asker: Asker = KEN, *, early: bool = False, **made: Any) -> int:
        """Call a tool, of which any question may be asked; return the key."""
        settings = {"request_id": "id", "name": "t", "meta": declaring(), **made}
        return self.ask(request(**settings), asker, early=early)

    def ask(self, made: Request, asker: Asker = KEN, *, early: bool = False) -> int:
        key = next(self._keys)
        self.conversation.call(key, made, asker, now_s=self.now_s, early=early)
        return key

    def called(self, asker: Asker = KEN, **made: Any) -> tuple[int, int]:
        """Call a tool; return its key and its own id."""
        key = self.call(asker, **made)
        return key, next(line["id"] for line in self.sent() if line["method"] != "logging/setLevel")

    def listen(self, asker: Asker = KEN, request_id: Any = "listen", **wanted: Any) -> int:
        return self.ask(request(request_id, "subscriptions/listen", notifications=wanted), asker)

    def say(self, origin: int | None = None, **members: Any) -> bool:
        """Let the server say something."""
        message = jsonrpc.parse(json.dumps({"jsonrpc": "2.0", **members}).encode())
        assert not isinstance(message, jsonrpc.Batch)
        return self.conversation.received(message, self.now_s, origin)

    def question(
        self, question_id: Any = "q", method: str = "elicitation/create", **options: Any
    ) -> None:
        """Let the server ask something."""
        origin = options.pop("origin", None)
        self.say(origin, id=question_id, method=method, params=options)

    def asked(self) -> tuple[int, dict[str, Any], str]:
        """Return who was asked something just now: the key, the questions, the state."""
        ((key, message),) = self.heard()
        result = message["result"]
        assert result["resultType"] == "input_required"
        return key, result["inputRequests"], result["requestState"]

    def retry(self, state: object, asker: Asker = KEN, /, **made: Any) -> int:
        """Call the tool again with answers."""
        answers = made.pop("answers", {})
        return self.call(asker, requestState=state, inputResponses=answers, **made)

    def pass_seconds(self, count: float) -> None:
        self.now_s += count
        self.conversation.tick(self.now_s)


def dropped(actions: list[Action]) -> list[int]:
    return [action.own for action in actions if isinstance(action, Dropped)]


def lost(actions: list[Action]) -> list[Lost]:
    return [action for action in actions if isinstance(action, Lost)]


def owns(actions: list[Action]) -> list[int | None]:
    """The own ids of what was written."""
    return [action.own for action in actions if isinstance(action, Write)]


def answers_to(actions: list[Action]) -> dict[int, dict[str, Any]]:
    return {a.key: m for a, (_, m) in zip(_deliveries(actions), delivered(actions), strict=True)}


def _deliveries(actions: list[Action]) -> list[Deliver]:
    return [action for action in actions if isinstance(action, Deliver)]
