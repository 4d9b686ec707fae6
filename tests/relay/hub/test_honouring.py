"""What a server does not declare is honoured in doubt, until it refuses."""

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import listening
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.listens import (
    GRACE,
    LISTEN,
    UPDATED,
    honoured,
    known,
    listen,
    updates,
    wanted,
)
from tests.relay.hub.servers import with_resources


def doubtful(*uris: str, refused: tuple[str, ...] = ()) -> MemoryServer:
    """Return a server of the older era that does not say whether it tells of its resources."""
    server = with_resources("old", *uris)
    server.era, server.declares, server.refused = Era.LEGACY, False, set(refused)
    return server


def test_a_server_that_tells_without_saying_so_is_heard() -> None:
    """What it does not declare is tried; nobody has to know before."""
    joined, server = Joined(), doubtful("x:a", "x:b")
    joined.agent(server)
    known(joined)
    answer = listen(joined, "x:a")
    assert honoured(answer) == {"resourceSubscriptions": ["x:a"]}
    assert wanted(server) == ["x:a"]
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(answer) == ["x:a"]
    assert not answer.is_over


def test_what_a_server_refuses_is_told_once_and_the_listens_go_on() -> None:
    """The next one is acknowledged without the URI; the server is asked once."""
    joined, server = Joined(), doubtful("x:a", "x:b", refused=("x:b",))
    joined.agent(server)
    known(joined)
    right = listen(joined, "x:a")
    wrong = listen(joined, "x:b", toolsListChanged=True)
    joined.wait_s(listening.PAUSE_S)
    assert honoured(wrong) == {"toolsListChanged": True, "resourceSubscriptions": ["x:b"]}
    assert updates(wrong) == ["x:b"]
    for _ in range(3):
        again = listen(joined, "x:b", "x:a", toolsListChanged=True)
        assert honoured(again) == {"toolsListChanged": True, "resourceSubscriptions": ["x:a"]}
    joined.wait_s(1000)
    assert wanted(server) == ["x:a"]
    assert sum("x:b" in wishes(one) for one in requests(server)) == 1
    assert not any(one.is_over for one in (right, wrong, again))
    assert updates(wrong) == []
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(right) == updates(again) == ["x:a"]


def test_a_server_that_refuses_may_tell_when_it_has_started_anew() -> None:
    """Or when its resources are others: then it is tried once more, for the listens that are there."""
    joined, server = Joined(), doubtful("x:a", refused=("x:a",))
    joined.agent(server)
    known(joined)
    before = listen(joined, "x:a")
    joined.wait_s(1)
    assert honoured(listen(joined, "x:a")) == {}
    server.refused.clear()
    server.become(ServerState.READY)
    joined.wait_s(5)
    answer = listen(joined, "x:a")
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(answer) == ["x:a"]
    assert updates(before) == ["x:a", "x:a"]


def test_who_listens_to_nothing_else_leaves_nothing_behind() -> None:
    """The last listen of a user ends while a device is still expected."""
    joined, server = Joined(hub=GRACE), doubtful("x:a", refused=("x:a",))
    away = Device(Principal("local", "alice"), "installation-9", "tower", 0.0, 0.0)
    joined.devices.restore([away])
    joined.agent(server)
    known(joined)
    answer = listen(joined, "x:a")
    joined.wait_s(1)
    assert not answer.is_over
    answer.cancel()
    assert not joined.hub._listening._users


def test_a_modern_server_is_believed() -> None:
    """Its own acknowledgement is exact, and what it does not declare it is not asked for."""
    joined = Joined()
    silent, partly = with_resources("silent", "x:a"), with_resources("partly", "y:a")
    silent.declares, partly.refused = False, {"y:a"}
    joined.agent(silent, partly)
    known(joined)
    answer = listen(joined, "x:a", "y:a")
    assert honoured(answer) == {"resourceSubscriptions": ["y:a"]}
    joined.wait_s(100)
    assert not answer.is_over
    assert not requests(silent)


def requests(server: MemoryServer) -> list[Request]:
    """Return the listens that a server was asked for, ever."""
    return [request for request in server.requests if request.method == LISTEN]


def wishes(request: Request) -> list[str]:
    """Return the URIs in a listen."""
    uris: list[str] = jsonrpc.decode(request.params["notifications"]).get(
        "resourceSubscriptions", []
    )
    return uris
