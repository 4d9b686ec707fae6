"""A call that is over leaves nothing behind that only the garbage collector would find.

Requests and results are large: kept until then they fill the memory.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mcptunnel.agent.endpoint import HubCall
from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.batch import Answers, Part
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.dialogue import Dialogue
from mcptunnel.mcp.client_half.get_stream import GetStream
from mcptunnel.mcp.client_half.initializing import Initializing
from mcptunnel.mcp.client_half.legacy_call import LegacyCall
from mcptunnel.mcp.client_half.session_endpoint import Visit
from mcptunnel.mcp.client_half.sse_session import SseSession
from mcptunnel.model import Outcome
from mcptunnel.net.exchange import Exchange
from mcptunnel.relay.hub.restart import RestartOrder
from mcptunnel.relay.hub.running import Waiting
from mcptunnel.relay.hub.server_call import ServerCall
from mcptunnel.relay.hub.tool_call import ToolCall
from mcptunnel.relay.web.body import IncomingBody
from mcptunnel.relay.web.reply import Reply
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.testing.joined import MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.web.site import Connection, HttpClient, MemorySite
from tests.relay.web.test_mcp_sse import begun, post

PARTS = (
    SseSession,
    RelayRequest,
    IncomingBody,
    Reply,
    Visit,
    HttpAnswer,
    Call,
    LegacyCall,
    Initializing,
    Dialogue,
    GetStream,
    Answers,
    Part,
    Waiting,
    ToolCall,
    RestartOrder,
    ServerCall,
    Exchange,
    HubCall,
)


class Scene:
    """A client, a server with a tool that waits for the test, and one that answers at once."""

    def __init__(self) -> None:
        self.site = MemorySite()
        self.files = MemoryServer("files", {"wait": None, "now": lambda _: "now"})
        self.agent: MemoryAgent = self.site.joined.agent(self.files)
        self.client: HttpClient = self.site.client()
        self.client.initialize("2025-03-26", {"roots": {}})

    def settle(self) -> None:
        self.site.joined.settle()

    def modern(self) -> Connection:
        return self.client.modern("tools/call", {"name": "files__wait"}, about={"progressToken": 1})

    def legacy(self) -> Connection:
        params = {"name": "files__wait", "_meta": {"progressToken": 1}}
        return self.client.legacy("tools/call", params, request_id=7)


def at_once(scene: Scene) -> None:
    scene.client.modern("tools/call", {"name": "files__now"})
    scene.client.legacy("tools/call", {"name": "files__now"})
    scene.client.modern("tools/call", {"name": "restart"})


def as_a_stream(scene: Scene) -> None:
    for ask in (scene.modern, scene.legacy):
        connection = ask()
        scene.files.calls[-1].progress(1)
        scene.files.calls[-1].answer("done")
        scene.settle()
        assert connection.answer.is_complete


def failed(scene: Scene) -> None:
    for ask in (scene.modern, scene.legacy):
        ask()
        scene.files.calls[-1].fail("broken", Outcome.UNKNOWN)
        scene.settle()


def cancelled(scene: Scene) -> None:
    scene.modern().hang_up()
    scene.legacy()
    scene.client.legacy("notifications/cancelled", {"requestId": 7}, request_id=None)


def without_its_client(scene: Scene) -> None:
    scene.legacy().hang_up()
    scene.files.calls[-1].answer("late")
    scene.settle()


def with_a_lost_tunnel(scene: Scene) -> None:
    scene.modern()
    scene.site.joined.lose(scene.agent)


def asking(scene: Scene) -> None:
    """One that is answered, one that is cancelled meanwhile, one whose client leaves."""
    question = {"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list"}}}
    for end in ("answer", "cancel", "leave"):
        connection = scene.legacy()
        scene.files.calls[-1].answer(question)
        scene.settle()
        if end == "answer":
            answer = {"jsonrpc": "2.0", "id": connection.answer.events[-1]["id"], "result": {}}
            scene.client.post(answer)
            scene.files.calls[-1].answer("done")
            scene.settle()
        elif end == "cancel":
            scene.client.legacy("notifications/cancelled", {"requestId": 7}, request_id=None)
        else:
            connection.hang_up()


def as_batches(scene: Scene) -> None:
    params = {"name": "files__now"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    scene.client.post([call, {**call, "id": 2}])
    scene.client.post([call]).hang_up()


def with_streams(scene: Scene) -> None:
    for _ in range(3):
        stream = scene.client.request("GET", accept="text/event-stream")
    stream.hang_up()


def with_an_old_client(scene: Scene) -> None:
    """One that leaves with a call under way."""
    stream, path = begun(scene.client)
    for number, tool in enumerate(("files__now", "files__wait"), 2):
        post(scene.client, path, "tools/call", {"name": tool}, number)
    stream.hang_up()
    scene.site.joined.wait_s(1)


def refused(scene: Scene) -> None:
    scene.client.modern("no/such")
    scene.client.modern("tools/call", {"name": "no such"})
    scene.client.post(b"nonsense")
    scene.client.post(b"{}", authorization="Bearer nonsense")


@pytest.fixture
def scene() -> Iterator[Scene]:
    yield Scene()
    gc.enable()


def living() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, PARTS))


@pytest.mark.parametrize(
    "call",
    [
        at_once,
        as_a_stream,
        failed,
        cancelled,
        without_its_client,
        with_a_lost_tunnel,
        asking,
        as_batches,
        with_streams,
        with_an_old_client,
        refused,
    ],
)
def test_a_call_that_is_over_leaves_nothing(scene: Scene, call: Callable[[Scene], None]) -> None:
    scene.settle()
    scene.agent.opened.clear()
    gc.collect()
    before = living()
    gc.disable()
    call(scene)
    scene.agent.opened.clear()
    scene.files.calls.clear()
    assert living() - before == Counter()


@pytest.mark.parametrize("ask", [Scene.modern, Scene.legacy])
def test_a_call_under_way_keeps_nothing_of_its_request(
    scene: Scene, ask: Callable[[Scene], Connection]
) -> None:
    """Once that was sent: a call may last for an hour."""
    marker = "m" * 5000
    scene.client.initialize()
    call = scene.client.modern if ask is Scene.modern else scene.client.legacy
    connection = call("tools/call", {"name": "files__wait", "arguments": {"marker": marker}})
    assert scene.files.calls
    scene.files.calls.clear()
    scene.agent.opened.clear()
    kept = [one for one in gc.get_objects() if isinstance(one, PARTS)]
    assert kept
    assert not connection.answers
    found, todo = set(map(id, kept)), list(kept)
    while todo:
        one = todo.pop()
        assert not (isinstance(one, bytes | str) and len(one) >= len(marker)), type(one)
        for other in gc.get_referents(one):
            if id(other) not in found and not isinstance(other, type | type(gc)):
                found.add(id(other))
                if isinstance(other, bytes | str | dict | tuple | list) or hasattr(other, "_call"):
                    todo.append(other)
