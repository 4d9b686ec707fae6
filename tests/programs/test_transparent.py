"""Bodies of any size through the transparent endpoint, by real programs: whole, flat, independent."""

import http.client
import itertools
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.programs import bulk_server
from tests.programs.bulk_server import checksum, content
from tests.programs.client import Client
from tests.programs.conftest import Stage
from tests.programs.process import Program, eventually
from tests.programs.programs import DEMO_SERVER, Agent
from tests.programs.raw import Connection, fetch, request
from tests.programs.test_agent_loss import IMPATIENT

MIB = 1024 * 1024
MOST_GROWTH_BYTES = 32 * MIB
TIMEOUT_S = 60.0

SIZES = (64 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.slow))


@dataclass(frozen=True, slots=True)
class Way:
    """A user with one device on the shared relay, with `bulk` (HTTP) and `demo` (a pipe)."""

    stage: Stage
    agent: Agent
    key: str
    path: str = "/servers/bulk/mcp"

    @property
    def port(self) -> int:
        return self.stage.relay.port

    @property
    def programs(self) -> list[Program]:
        return [self.stage.relay.program, self.agent.program]

    def headers(self, **fields: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return {"authorization": f"Bearer {self.key}", **named}

    @contextmanager
    def ask(
        self, method: str, body: Any = None, **fields: str
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; an iterable body goes in chunks unless `content_length` is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        connection.blocksize = 256 * 1024
        try:
            connection.request(method, self.path, body, self.headers(**fields))
            yield connection.getresponse()
        finally:
            connection.close()

    def report(self) -> dict[str, int]:
        """Return what the server counted."""
        with self.ask("GET", x_report="1") as response:
            told: dict[str, int] = json.loads(response.read())
            return told

    def begin(self, **fields: str) -> socket.socket:
        """Send the head of a GET over a socket with a small buffer, and read nothing."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        made.settimeout(TIMEOUT_S)
        made.connect(("127.0.0.1", self.port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers(**fields).items())
        made.sendall(f"GET {self.path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode())
        return made


@pytest.fixture(scope="module")
def way(stage: Stage) -> Way:
    port = stage.estate.free_port()
    stage.estate.program("bulk", bulk_server.command(port)).wait_for("ready")
    servers = {"bulk": f"http://127.0.0.1:{port}/", "demo": DEMO_SERVER}
    key = stage.relay.key("bea", "agent")
    # One test leaves an upload that stands still: nobody reads on, so nobody sees its client leave.
    agent = stage.estate.agent(stage.relay, key, servers=servers, extra=IMPATIENT).start()
    made = Way(stage, agent, stage.relay.key("bea", "mcp"))
    eventually(lambda: is_there(made), 10, "the server to be announced")
    return made


def is_there(way: Way) -> bool:
    with way.ask("GET", x_report="1") as response:
        return response.status == 200


@pytest.fixture
def _flat(way: Way) -> Iterator[None]:
    """Fail if relay or agent grew by more than a stated constant at any time of the test."""
    before = [program.rss_bytes for program in way.programs]
    for program in way.programs:
        program.reset_peak()
    yield
    for program, start_bytes in zip(way.programs, before, strict=True):
        growth_mib = (program.peak_bytes - start_bytes) / MIB
        assert growth_mib < MOST_GROWTH_BYTES / MIB, program.name


@pytest.mark.usefixtures("_flat")
@pytest.mark.parametrize("size", SIZES)
def test_a_large_response_arrives_whole(way: Way, size: int) -> None:
    with way.ask("GET", x_bytes=str(size)) as response:
        assert response.status == 200
        assert response.headers["content-length"] == str(size)
        total, found = 0, 0
        while piece := response.read(256 * 1024):
            total, found = total + len(piece), zlib.crc32(piece, found)
    assert (total, found) == (size, checksum(size))


@pytest.mark.usefixtures("_flat")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stated", [True, False])
def test_a_large_request_arrives_whole(way: Way, size: int, *, stated: bool) -> None:
    """With a stated length, and in chunks."""
    fields = {"content_length": str(size)} if stated else {}
    with way.ask("POST", content(size), **fields) as response:
        told = json.loads(response.read())
    assert told == {"bytes": size, "checksum": checksum(size)}


@pytest.mark.usefixtures("_flat")
def test_a_stopped_reader_stops_its_own_source_and_nothing_else(way: Way) -> None:
    """What the server could send ends at the window and the buffers of sockets; the rest runs on."""
    with way.begin(x_bytes=str(1024 * MIB), x_name="stopped") as stopped:
        assert stopped.recv(100)
        sent = settled(lambda: way.report().get("stopped", 0))
        assert sent < 16 * MIB
        with way.ask("GET", x_bytes=str(64 * MIB)) as response:
            assert len(response.read()) == 64 * MIB
        assert hub_call(way) == '{"sum": 3}'
        assert way.report()["stopped"] == sent
    eventually(lambda: way.report().get("stopped broken"), 5, "the server to hear of the end")


@pytest.mark.usefixtures("_flat")
def test_a_stopped_server_stops_its_own_client_and_nothing_else(way: Way) -> None:
    """The same the other way: the server reads a MiB and no more."""
    headers = way.headers(x_stop_after=str(MIB), x_name="idle", content_length=str(1024 * MIB))
    with Connection(way.port) as connection:
        connection.send(request("POST", way.path, b"", **headers))
        sender = connection.detach()
        sender.settimeout(1)
        sent = 0
        with suppress(TimeoutError):
            while sent < 1024 * MIB:
                sent += sender.send(bytes(MIB))
        assert sent < 24 * MIB
        with way.ask("POST", content(64 * MIB)) as response:
            assert json.loads(response.read())["bytes"] == 64 * MIB
        assert hub_call(way) == '{"sum": 3}'
        sender.close()


@pytest.mark.usefixtures("_flat")
def test_a_stopped_reader_of_a_pipe_stops_nobody(way: Way) -> None:
    """A local server on a pipe talks to all of its callers there: one of them may not hold it up."""
    client = Client(way.port, way.key)
    arguments = {"n": 100_000, "interval": 0.0}
    _, stopped = client.start_call("demo__countdown", arguments, "a")
    stopped.wait_for_progress()
    for _ in range(20):
        assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
        time.sleep(0.05)
    with way.ask("GET", x_bytes=str(MIB)) as response:
        assert len(response.read()) == MIB
    stopped.close()


def test_events_come_one_by_one(way: Way) -> None:
    """A slow event stream is never gathered: each event is there long before the next."""
    with way.ask("GET", x_events="5", x_interval="0.2") as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-accel-buffering"] == "no"
        times = []
        while (line := response.readline()) != b"":
            if line.startswith(b"data:"):
                times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 5
    assert all(0.1 < gap < 0.4 for gap in gaps), gaps


def test_a_client_that_asks_first_is_told_to_go_on(way: Way) -> None:
    """`Expect: 100-continue`: the interim answer comes before the body, the final one after it."""
    with Connection(way.port) as connection:
        fields = way.headers(expect="100-continue", content_length="5")
        connection.send(request("POST", way.path, b"", **fields))
        assert connection.reply_head().status == 100
        connection.send(b"hello")
        assert connection.reply().json == {"bytes": 5, "checksum": zlib.crc32(b"hello")}


def test_a_client_that_asks_first_may_be_refused(way: Way) -> None:
    """Without a key there is no `100 Continue`, and no second answer behind the refusal."""
    with Connection(way.port) as connection:
        fields = {"expect": "100-continue", "content_length": "5"}
        connection.send(request("POST", way.path, b"", **fields))
        reply = connection.reply()
        assert reply.status == 401
        assert reply.headers["connection"] == "close"
        connection.send(b"hello")
        assert connection.rest() == b""


def test_a_connection_goes_on_after_a_refused_body(way: Way) -> None:
    """The body of a refused request is no request: it is read and dropped."""
    with Connection(way.port) as connection:
        smuggled = request("GET", "/health")
        connection.send(request("POST", way.path, smuggled) + request("GET", "/"))
        assert connection.reply().status == 401
        assert connection.reply().json["mcp"].endswith("/mcp")


def test_a_server_that_is_gone_is_told(stage: Stage) -> None:
    """Before the head as an error that says that nothing ran, after it by the end of the connection."""
    port = stage.estate.free_port()
    server = stage.estate.program("gone", bulk_server.command(port))
    server.wait_for("ready")
    key = stage.relay.key("gus", "agent")
    servers = {"bulk": f"http://127.0.0.1:{port}/"}
    agent = stage.estate.agent(stage.relay, key, servers=servers).start()
    way = Way(stage, agent, stage.relay.key("gus", "mcp"))
    eventually(lambda: is_there(way), 10, "the server to be announced")
    with way.begin(x_bytes=str(1024 * MIB)) as reader:
        reader.recv(1)
        server.kill()
        received = 0
        try:
            while data := reader.recv(MIB):
                received += len(data)
        except ConnectionResetError:
            pass
        assert received < 1024 * MIB
    body = json.dumps({"jsonrpc": "2.0", "id": "seven", "method": "ping"}).encode()
    reply = fetch(way.port, request("POST", way.path, body, **way.headers()))
    assert reply.status == 503
    assert reply.json["id"] == "seven"
    assert reply.json["error"]["data"] == {"outcome": "not_delivered"}


def settled(read: Callable[[], int]) -> int:
    """Wait until a number has been the same for half a second."""
    value, since_s = read(), time.monotonic()
    while time.monotonic() - since_s < 0.5:
        time.sleep(0.05)
        if (now := read()) != value:
            value, since_s = now, time.monotonic()
    return value


def hub_call(way: Way) -> str:
    return Client(way.port, way.key).call("demo__add", a=1, b=2).text
