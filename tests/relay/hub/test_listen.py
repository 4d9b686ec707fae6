"""One client's listen: what it hears while it reads slowly, and after its end."""

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.versions import Era
from mcptunnel.relay.hub.listen import MAX_HELD_URI_BYTES, Listen


class Caller:
    era = Era.MODERN

    def __init__(self) -> None:
        self.heard: list[str] = []

    def result(self, result: Raw) -> None:
        assert jsonrpc.decode(result) == {"resultType": "complete"}
        self.heard.append("result")

    def error(self, error: JsonRpcError) -> None:
        raise AssertionError(error)

    def notification(self, message: Notification) -> None:
        uri = jsonrpc.text(message.params.get("uri"))
        self.heard.append(uri or message.method.split("/", 1)[1])


def listening() -> tuple[Listen, Caller, list[Listen]]:
    caller, left = Caller(), list[Listen]()
    return Listen(caller, frozenset({Kind.TOOL}), {"a": None, "b": None}, left.append), caller, left


def uri(name: str) -> jsonrpc.Members:
    return {"uri": jsonrpc.raw(name)}


def test_a_slow_client_hears_the_last_of_each() -> None:
    """When it reads again; no more waits for it than it listens to."""
    listen, caller, _ = listening()
    listen.acknowledge()
    listen.hold(True)
    for number in range(1000):
        listen.list_changed(Kind.TOOL)
        listen.updated("a", uri(f"a{number}"))
        listen.updated("b", uri("b"))
    assert caller.heard == ["subscriptions/acknowledged"]
    listen.hold(False)
    assert caller.heard[1:] == ["tools/list_changed", "a999", "b"]
    listen.updated("b", uri("b"))
    listen.hold(True)
    listen.hold(False)
    assert caller.heard[4:] == ["b"]


def test_what_waits_is_small() -> None:
    """Neither what a server says beside the change, nor a part with an endless name."""
    listen, caller, _ = listening()
    listen.hold(True)
    meta = {"_meta": jsonrpc.raw({"x/y": "x" * 100_000})}
    listen.updated("a", {**uri("a/part"), **meta})
    listen.updated("b", {**uri("b/" + "x" * MAX_HELD_URI_BYTES), **meta})
    assert [message.params for message in listen._missed.values()] == [uri("a/part"), uri("b")]
    listen.hold(False)
    assert caller.heard == ["a/part", "b"]


def test_it_ends_once_and_says_nothing_more() -> None:
    for end in ("end", "cancel"):
        listen, caller, left = listening()
        for _ in range(2):
            listen.end() if end == "end" else listen.cancel("enough")
        listen.list_changed(Kind.TOOL)
        listen.hold(False)
        listen.client_gone()
        assert caller.heard == (["result"] if end == "end" else [])
        assert left == [listen]
