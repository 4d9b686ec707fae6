"""The answer's way to the client: one body or a stream, slow clients, clients that are gone."""

import pytest

from mcptunnel.config.relay import LimitsConfig
from mcptunnel.model import Outcome
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.web.site import Connection, HttpClient, MemorySite

LOTS = "x" * 20_000


@pytest.fixture
def site() -> MemorySite:
    return MemorySite(limits=LimitsConfig(max_result_bytes=64 * 1024 * 1024))


@pytest.fixture
def files(site: MemorySite) -> MemoryServer:
    server = MemoryServer("files", {"wait": None, "now": lambda _: "now"})
    site.joined.agent(server)
    return server


@pytest.fixture
def client(site: MemorySite, files: MemoryServer) -> HttpClient:
    assert files.status.name == "files"
    return site.client()


def call(client: HttpClient, accept: str = "application/json, text/event-stream") -> Connection:
    about = {"progressToken": 1}
    return client.modern("tools/call", {"name": "files__wait"}, about=about, accept=accept)


def test_a_client_that_takes_no_streams_gets_the_result_alone(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    connection = call(client, accept="application/json")
    files.calls[0].progress(1)
    files.calls[0].answer("done")
    site.joined.settle()
    assert connection.answer.json["result"]["content"][0]["text"] == "done"


def test_news_of_one_turn_is_one_piece(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    """However many events a message from the agent brings, the connection is written once."""
    connection = call(client)
    for step in range(5):
        files.calls[0].progress(step)
    site.joined.settle()
    assert [event["params"]["progress"] for event in connection.answer.events] == [0, 1, 2, 3, 4]
    assert connection.wire.value().count(b"\n\n\r\n") == 1  # where an event and a chunk end
    files.calls[0].progress(5)
    files.calls[0].answer("done")
    site.joined.settle()
    assert len(connection.answer.events) == 7
    assert connection.wire.value().count(b"\n\n\r\n") == 2
    assert connection.answer.is_complete


def test_a_client_that_takes_only_streams_gets_one(client: HttpClient) -> None:
    answer = client.modern("tools/call", {"name": "files__now"}, accept="text/event-stream").answer
    assert answer.status == 200
    assert len(answer.events) == 1
    assert answer.is_complete


def test_an_error_before_the_stream_has_its_status(client: HttpClient) -> None:
    answer = client.modern("no/such", accept="text/event-stream").answer
    assert answer.status == 404
    assert answer.json["error"]["code"] == -32601


def test_an_error_after_news_is_the_last_event(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    connection = call(client)
    files.calls[0].progress(1)
    files.calls[0].error(-32603, "broken")
    site.joined.settle()
    assert connection.answer.events[-1]["error"]["message"] == "broken"
    assert connection.answer.is_complete


def test_a_connection_serves_one_request_after_the_other(
    site: MemorySite, client: HttpClient, files: MemoryServer
) -> None:
    """Pipelined requests are answered in order, whatever each of them takes."""
    connection = call(client)
    data = b'{"jsonrpc":"2.0","id":9,"method":"x"}'
    head = "\r\n".join(
        ["POST /mcp HTTP/1.1", *(f"{k}: {v}" for k, v in client.headers.items())]
    ).encode()
    connection.send(head + b"\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
    assert not connection.answers
    files.calls[0].progress(1)
    files.calls[0].answer("done")
    site.joined.settle()
    first, last = connection.answers
    assert len(first.events) == 2
    assert last.status == 400


# Slow clients.


def test_a_slow_client_slows_down_its_own_call(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    """Not more than a window of news is taken from the agent until the client reads again.

    The agent leaves out what it cannot send; the answer comes all the same.
    """
    slow, quick = call(client), call(client)
    for waiting in files.calls:
        waiting.progress(0)
    site.joined.settle()
    slow.slow_down()
    for step in range(100):
        files.calls[0].progress(step, LOTS)
        files.calls[1].progress(step, LOTS)
        site.joined.settle()
    assert len(slow.wire.value()) < 2 * 256 * 1024
    assert len(quick.answer.events) == 101
    assert client.modern("tools/call", {"name": "files__now"}).answer.status == 200
    files.calls[0].answer("done")
    slow.go_on()
    site.joined.settle()
    assert slow.answer.is_complete
    assert slow.answer.events[-1]["result"]["content"][0]["text"] == "done"
    assert 10 < len(slow.answer.events) < 102


def test_a_slow_client_that_leaves_lets_a_legacy_call_run_on(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    params = {"name": "files__wait", "_meta": {"progressToken": 1}}
    slow = client.legacy("tools/call", params)
    files.calls[0].progress(0)
    site.joined.settle()
    slow.slow_down()
    for step in range(100):
        files.calls[0].progress(step, LOTS)
    files.calls[0].answer("nobody hears this")
    site.joined.settle()
    slow.hang_up()
    assert client.legacy("tools/list").answer.status == 200


def test_a_stream_of_an_answered_call_is_not_held(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    connection = call(client)
    files.calls[0].progress(0)
    site.joined.settle()
    connection.slow_down()
    files.calls[0].answer("done")
    site.joined.settle()
    connection.go_on()
    assert connection.answer.is_complete


# Clients that are gone.


def test_an_answer_after_the_client_is_gone_is_nobodys(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    for request_id in (1, 2, 3):
        client.legacy("tools/call", {"name": "files__wait"}, request_id=request_id).hang_up()
    files.calls[0].answer("late")
    files.calls[1].error(-32603, "late")
    files.calls[2].fail("late", Outcome.UNKNOWN)
    site.joined.settle()
    assert client.legacy("tools/call", {"name": "files__now"}).answer.status == 200


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_client_that_leaves_during_a_restart_hurts_nobody(
    era: str, site: MemorySite, client: HttpClient
) -> None:
    """The agent's answer finds nobody; its tunnel lives on."""
    (device,) = site.joined.devices.everyone()
    client.initialize()
    ask = client.modern if era == "modern" else client.legacy
    site.joined.agent(name="far", installation_id="installation-far0", delay_s=1.0)
    site.joined.wait_s(5)
    connection = ask("tools/call", {"name": "restart", "arguments": {"device": "far"}})
    connection.hang_up()
    site.joined.wait_s(5)
    assert all(one.is_connected for one in site.joined.devices.everyone())
    assert device.is_connected
    assert not connection.answers


def test_a_client_that_leaves_while_a_list_waits(
    site: MemorySite, client: HttpClient, files: MemoryServer
) -> None:
    files.holds_lists = True
    files.offer({"new": None})
    site.joined.wait_s(INTERVAL_S)
    connection = client.modern("tools/list")
    connection.hang_up()
    files.calls[0].answer(files.page())
    site.joined.settle()
    assert not connection.answers


def test_a_lost_device_ends_the_stream_with_a_result(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    connection = call(client)
    files.calls[0].progress(1)
    site.joined.settle()
    (device,) = site.joined.devices.everyone()
    assert device.tunnel is not None
    device.tunnel.session.lost()
    device.tunnel._perform()
    site.joined.settle()
    assert connection.answer.events[-1]["result"]["isError"]
    assert connection.answer.is_complete
