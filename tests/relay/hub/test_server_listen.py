"""The hub's listen on one server: renewed, tried again, given up where nothing can be heard."""

import pytest

from mcptunnel.relay.hub.server_listen import ACKNOWLEDGE_S, FIRST_WAIT_S, LONGEST_WAIT_S
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.listens import LISTEN, UPDATED, known, listen, updates
from tests.relay.hub.servers import asked, with_resources


@pytest.fixture
def joined() -> Joined:
    return Joined()


@pytest.fixture
def server(joined: Joined) -> MemoryServer:
    server = with_resources("shelf", "x:a", "x:b")
    joined.agent(server)
    known(joined)
    return server


def test_a_server_that_cannot_tell_is_left_alone(joined: Joined, server: MemoryServer) -> None:
    """Until it, or its device, starts anew."""
    server.tells = False
    answer = listen(joined, "x:a")
    joined.wait_s(1000)
    for uri in ("x:b", "x:a"):
        listen(joined, uri)
    assert asked(server, LISTEN) == 1
    assert not answer.is_over
    server.tells = True
    server._restarts += 1
    server.become(server._state)
    joined.wait_s(2)
    assert asked(server, LISTEN) == 2
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(answer) == ["x:a"]


def test_a_listen_that_ends_is_begun_again_less_and_less_often(
    joined: Joined, server: MemoryServer
) -> None:
    """Whatever ended it; with an acknowledgement the waits are short again."""
    answer = listen(joined, "x:a")
    server.acknowledges = False
    wait_s = FIRST_WAIT_S
    for count in range(2, 10):
        newest = server.listens[-1]
        if count % 2:
            newest.answer({"resultType": "complete"})
        else:
            newest.fail("crashed")
        joined.wait_s(wait_s - 0.1)
        assert asked(server, LISTEN) == count - 1
        joined.wait_s(0.2)
        assert asked(server, LISTEN) == count
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    server.listens[-1].acknowledge()
    joined.settle()
    assert updates(answer) == ["x:a"]
    server.listens[-1].fail("crashed")
    joined.wait_s(FIRST_WAIT_S + 0.1)
    assert asked(server, LISTEN) == 10


def test_a_listen_that_is_never_acknowledged_is_given_up(
    joined: Joined, server: MemoryServer
) -> None:
    server.acknowledges = False
    listen(joined, "x:a")
    joined.wait_s(2 * ACKNOWLEDGE_S)
    assert asked(server, LISTEN) == 2


def test_silence_after_the_acknowledgement_is_as_it_should_be(
    joined: Joined, server: MemoryServer
) -> None:
    """For days: nothing is to be told."""
    answer = listen(joined, "x:a")
    joined.wait_s(3 * 86_400)
    assert asked(server, LISTEN) == 1
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(answer) == ["x:a"]


def test_what_comes_before_the_acknowledgement_or_is_something_else_counts_for_nothing(
    joined: Joined, server: MemoryServer
) -> None:
    server.acknowledges = False
    answer = listen(joined, "x:a")
    server.tell(UPDATED, uri="x:a")
    server.acknowledge()
    server.tell("notifications/message", level="info", data="x")
    server.tell("notifications/progress", progressToken=1, progress=1)
    joined.settle()
    assert updates(answer) == []


def test_wishes_that_change_again_are_asked_for_last(joined: Joined, server: MemoryServer) -> None:
    """The listen that is no longer wanted is given up, acknowledged or not."""
    server.acknowledges = False
    listen(joined, "x:a")
    listen(joined, "x:b")
    assert [call.is_over for call in server.listens] == [False]
    assert server.listens[-1].wishes == {"resourceSubscriptions": ["x:a", "x:b"]}
    server.acknowledge()
    joined.settle()
    assert asked(server, LISTEN) == 2
