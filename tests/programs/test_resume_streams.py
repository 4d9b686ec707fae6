"""Bodies and event streams of single servers, and what begins while the tunnel is held."""

import http.client
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.programs import bulk_server
from tests.programs.bulk_server import checksum, content
from tests.programs.client import Client
from tests.programs.network import WAYS
from tests.programs.process import known
from tests.programs.programs import DEMO_SERVER, Estate, Relay
from tests.programs.test_resume import Calling, behind

BODY_BYTES = 1_200_000
EVENTS = 100
INTERVAL_S = 0.03
TIMEOUT_S = 55.0
COMMENT = b":\n\n"
HELD_S = 17.0
"""Longer than event streams are left without a comment."""


def events(count: int) -> bytes:
    return b"".join(b"id: %d\ndata: %d\n\n" % (number, number) for number in range(count))


class Asked(threading.Thread):
    """One request to the server `bulk`, and what became of it."""

    def __init__(
        self, relay: Relay, key: str, method: str, body: Any = None, **fields: str
    ) -> None:
        super().__init__(daemon=True)
        self._port = relay.port
        self._asked = (method, "/servers/bulk/mcp", body)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        self._headers = {"authorization": f"Bearer {key}", **named}
        self.status = 0
        self.body = b""
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        connection.request(*self._asked, self._headers)
        response = connection.getresponse()
        self.status = response.status
        while piece := response.read1(65536):
            self.body += piece
        connection.close()

    def result(self) -> bytes:
        """Wait for the end."""
        self.join(TIMEOUT_S)
        assert not self.is_alive(), len(self.body)
        assert self.status == 200, self.body
        return self.body


class Asking(threading.Thread):
    """One tool call of the hub, read as bytes."""

    def __init__(self, client: Client, tool: str, **arguments: Any) -> None:
        super().__init__(daemon=True)
        self._start_call: Callable[[], Any] = lambda: client.start_call(tool, arguments)
        self.body = b""
        self.start()

    def run(self) -> None:
        _, answer = self._start_call()
        self.body = answer._response.read()
        answer.close()

    def check(self) -> None:
        """Assert that it was answered after one or two comments, and by nothing else."""
        self.join(TIMEOUT_S)
        assert not self.is_alive()
        comments, _, event = self.body.rpartition(COMMENT)
        assert comments + COMMENT in (COMMENT, 2 * COMMENT), self.body
        assert event.startswith(b"event: message\ndata: ")
        assert b'"isError":true' not in event
        assert event.count(b"\n\n") == 1


def with_bulk(estate: Estate) -> tuple[dict[str, Any], int]:
    """Start the bulk server; return the servers of an agent, and its process."""
    port = estate.free_port()
    bulk = estate.program("bulk", bulk_server.command(port))
    bulk.wait_for("ready")
    return {"bulk": f"http://127.0.0.1:{port}/", "demo": DEMO_SERVER}, bulk.pid


@pytest.mark.parametrize("seed", [3, 4])
def test_bodies_and_streams_survive_a_bad_network(estate: Estate, seed: int) -> None:
    """Small calls, a download, an upload, and event streams of both kinds, all at the same time.

    Not a byte is lost, doubled or out of order, and no server is another process afterwards.
    """
    servers, bulk_pid = with_bulk(estate)
    relay, network, agent, client = behind(estate, seed, servers=servers, least_bytes=8000)
    network.is_heard = False
    key = relay.key("alice", "mcp")
    processes = [*agent.program.children(), known(bulk_pid)]
    network.is_bad = True
    down = Asked(relay, key, "GET", x_bytes=str(BODY_BYTES))
    up = Asked(relay, key, "POST", content(BODY_BYTES), content_length=str(BODY_BYTES))
    stream = Asked(relay, key, "GET", x_events=str(EVENTS), x_interval=str(INTERVAL_S))
    small = Calling(lambda: client.call("demo__add", a=1, b=2), 20)
    steps = Calling(lambda: client.call("demo__countdown", "p", n=EVENTS, interval=INTERVAL_S), 1)
    body = down.result()
    assert (len(body), zlib.crc32(body)) == (BODY_BYTES, checksum(BODY_BYTES))
    told = b'{"bytes": %d, "checksum": %d}' % (BODY_BYTES, checksum(BODY_BYTES))
    assert up.result() == told
    assert stream.result().replace(COMMENT, b"") == events(EVENTS)
    for calling in (small, steps):
        calling.join(TIMEOUT_S)
        assert not calling.is_alive()
    assert [outcome.text for outcome in small.outcomes] == ['{"sum": 3}'] * 20
    (counted,) = steps.outcomes
    assert not counted.is_error
    found = [one.message["params"]["progress"] for one in counted.progress]
    assert found == list(range(1, EVENTS + 1))
    assert sum(network.ends[way] for way in WAYS) >= 5, network.ends
    assert all(process.is_running() for process in processes)
    assert agent.program.children() == processes[:-1]


def test_while_the_tunnel_is_held(estate: Estate) -> None:
    """What runs is kept alive with comments, what begins waits, and a second laptop has its own name.

    Then all is answered, in full; the comments are the only addition.
    """
    servers, _ = with_bulk(estate)
    relay, network, agent, client = behind(estate, 1, servers=servers)
    key = relay.key("alice", "mcp")
    stream = Asked(relay, key, "GET", x_events="40", x_interval="0.05")
    request_id, slow = client.start_call("demo__countdown", {"n": 40, "interval": 0.05}, "p")
    slow.wait_for_progress()
    silent = Asking(client, "demo__sleep", seconds=1)
    cut_at = len(agent.program.log)
    network.is_away = True
    network.cut("close")
    held_s = time.monotonic()
    late = [Asking(client, "demo__add", a=1, b=2) for _ in range(5)]
    late_body = Asked(relay, key, "GET", x_bytes="100000")
    second = estate.agent(relay, relay.key("alice", "agent")).start()
    second.program.wait_for("'laptop-2'")
    names = client.tools()
    assert {"laptop__demo__add", "laptop-2__demo__add"} <= set(names)
    assert client.call("laptop-2__demo__add", a=1, b=2).text == '{"sum": 3}'
    before = stream.body
    assert events(40).startswith(before)
    time.sleep(held_s + HELD_S - time.monotonic())
    assert stream.body == before + COMMENT
    assert not late_body.status
    network.is_away = False
    agent.program.wait_for("resumed", start=cut_at)
    assert stream.result() == before + COMMENT + events(40)[len(before) :]
    assert zlib.crc32(late_body.result()) == checksum(100_000)
    counted = client.outcome(request_id, slow)
    assert [one.message["params"]["progress"] for one in counted.progress] == list(range(2, 41))
    for asking in (silent, *late):
        asking.check()
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    status = client.call("status").text
    assert "laptop: connected" in status
    assert "laptop-2: connected" in status
