"""Waiting for a list and answering then; what goes wrong meanwhile is an answer too."""

from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError
from mcptunnel.mcp.kinds import Kind
from mcptunnel.testing.joined import Answer, Joined
from tests.relay.hub.servers import with_prompts


def test_what_is_known_is_answered_now_and_else_later() -> None:
    joined, server = Joined(), with_prompts()
    alice = joined.client().access.principal
    told: list[str] = []
    joined.hub.parts.when_settled(alice, Kind.TOOL, Answer(joined), lambda: told.append("now"))
    assert told == ["now"]
    server.become(ServerState.STARTING)
    joined.agent(server)
    waiting = joined.hub.parts.when_settled(
        alice, Kind.PROMPT, Answer(joined), lambda: told.append("later")
    )
    joined.settle()
    assert waiting is not None
    assert told == ["now"]
    server.become(ServerState.READY)
    joined.settle()
    assert told == ["now", "later"]


def test_an_error_that_comes_later_is_an_answer() -> None:
    joined, server = Joined(), with_prompts()
    server.become(ServerState.STARTING)
    joined.agent(server)
    answer = Answer(joined)

    def fail() -> None:
        raise JsonRpcError(INVALID_PARAMS, "no")

    joined.hub.parts.when_settled(joined.client().access.principal, Kind.TOOL, answer, fail)
    server.become(ServerState.FAILED)
    joined.settle()
    assert answer.failure is not None
    assert answer.failure.message == "no"
