"""Comments in the hub's event streams: when, where, and nowhere else."""

import pytest

from mcptunnel.mcp import sse
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.web.site import HELD_S, Connection, MemorySite, hold_link


def calls(
    accept: str = "application/json, text/event-stream",
) -> tuple[MemorySite, Connection, MemoryServer]:
    """Return a site, a call under way, and the server that is to answer it."""
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    site.joined.agent(server)
    params = {"name": "files__wait"}
    about = {"progressToken": 1}
    connection = site.client().modern("tools/call", params, about=about, accept=accept)
    return site, connection, server


def comments(connection: Connection) -> int:
    return connection.answer.body.count(sse.COMMENT)


def test_an_answer_that_takes_long_becomes_a_stream_with_comments() -> None:
    site, connection, server = calls()
    site.joined.wait_s(4.9)
    assert not connection.answers
    site.joined.wait_s(5.2)
    assert connection.answer.headers["content-type"] == "text/event-stream"
    assert comments(connection) == 1
    site.joined.wait_s(30)
    assert comments(connection) == 3
    server.calls[0].answer("done")
    site.joined.settle()
    answer = connection.answer
    assert answer.is_complete
    (event,) = answer.events
    assert event["result"]["content"][0]["text"] == "done"
    site.joined.wait_s(60)
    assert connection.answer.body == answer.body


def test_news_leave_no_room_for_comments() -> None:
    site, connection, server = calls()
    for step in range(20):
        server.calls[0].progress(step)
        site.joined.wait_s(4)
    assert len(connection.answer.events) == 20
    assert comments(connection) == 0


def test_a_call_is_kept_alive_while_its_tunnel_is_held() -> None:
    """The client sees nothing else."""
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    agent = site.joined.agent(server)
    about = {"progressToken": 1}
    connection = site.client().modern("tools/call", {"name": "files__wait"}, about=about)
    server.calls[0].progress(1)
    site.joined.wait_s(6)
    hold_link(site.joined, agent, HELD_S - 0.1)
    assert comments(connection) == 1
    server.calls[0].answer("done")
    site.joined.settle()
    assert len(connection.answer.events) == 2
    assert connection.answer.is_complete


def test_a_client_that_takes_no_streams_waits_in_silence() -> None:
    site, connection, server = calls("application/json")
    site.joined.wait_s(60)
    assert not connection.answers
    server.calls[0].answer("done")
    site.joined.settle()
    assert connection.answer.json["result"]["content"][0]["text"] == "done"


def test_a_client_that_does_not_read_gets_no_comments() -> None:
    site, connection, server = calls()
    server.calls[0].progress(1)
    site.joined.settle()
    connection.slow_down()
    before = connection.wire.value()
    site.joined.wait_s(60)
    assert connection.wire.value() == before
    connection.go_on()
    site.joined.wait_s(15)
    assert comments(connection) == 1


@pytest.mark.parametrize("version", ["modern", "legacy"])
def test_a_client_that_is_gone_gets_nothing(version: str) -> None:
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    site.joined.agent(server)
    client = site.client()
    if version == "legacy":
        client.initialize()
        connection = client.legacy("tools/call", {"name": "files__wait"})
    else:
        connection = client.modern("tools/call", {"name": "files__wait"})
    connection.hang_up()
    site.joined.wait_s(60)
    assert not connection.wire.value()
