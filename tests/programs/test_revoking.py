"""Whoever loses access loses all that they have open, within a second; nobody else notices."""

import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.programs.client import LEGACY, MODERN, TIMEOUT_S, Answer, Client, Json
from tests.programs.conftest import Stage
from tests.programs.process import eventually

SOON_S = 1.0
BOTH = pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
COUNTDOWN = {"n": 1000, "interval": 0.02}


@dataclass(frozen=True, slots=True)
class Loser:
    """Somebody with a key of alice's, who is about to lose it."""

    stage: Stage
    key: str
    key_id: str

    def client(self, version: str, path: str = "/mcp") -> Client:
        return Client(self.stage.relay.port, self.key, version, path=path).connect()

    def other(self, version: str, path: str = "/mcp") -> Client:
        """Return a client with another key of the same user."""
        return Client(self.stage.relay.port, self.stage.key, version, path=path).connect()

    def lose(self) -> float:
        """Revoke the key; return when that was asked for."""
        begun_s = time.monotonic()
        self.stage.relay.revoke(self.key_id)
        return begun_s


@pytest.fixture
def loser(stage: Stage) -> Loser:
    assert "legacy__cancelled" in stage.client(MODERN).tools()  # the servers are announced
    return Loser(stage, *stage.relay.key_and_id("alice", "mcp"))


def rest_of(answer: Answer) -> list[Json]:
    """Return all messages up to the end of a stream, however it ends."""

    def messages() -> Iterator[Json]:
        try:
            for arrived in answer.messages():
                yield arrived.message
        except (http.client.IncompleteRead, ConnectionError):
            pass

    rest = list(messages())
    answer.close()
    return rest


def check_refused(client: Client) -> None:
    _, answer = client.send("tools/list", {})
    answer.close()
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def cancelled_count(client: Client, tool: str) -> int:
    count: int = client.call(tool).result["structuredContent"]["count"]
    return count


@BOTH
@pytest.mark.parametrize("server", ["legacy", "modern", "webmodern"])
def test_a_call_on_one_server_is_broken_off(loser: Loser, version: str, server: str) -> None:
    """The server hears of it, also in a legacy client's session, where to leave is not to cancel."""
    path = f"/servers/{server}/mcp"
    client, other = loser.client(version, path), loser.other(version, path)
    before = cancelled_count(other, "cancelled")
    _, answer = client.start_call("countdown", COUNTDOWN, "t")
    answer.wait_for_progress()
    kept = other.start_call("countdown", {"n": 20, "interval": 0.05}, "t")
    begun_s = loser.lose()
    assert all("result" not in message for message in rest_of(answer))
    eventually(
        lambda: cancelled_count(other, "cancelled") == before + 1, SOON_S, "the server to hear"
    )
    assert time.monotonic() - begun_s < SOON_S
    check_refused(client)
    assert other.outcome(*kept).result["structuredContent"] == {"steps": 20}


@BOTH
def test_a_call_at_the_hub_is_cancelled(loser: Loser, version: str) -> None:
    client, other = loser.client(version), loser.other(version)
    before = cancelled_count(other, "legacy__cancelled")
    _, answer = client.start_call("legacy__countdown", COUNTDOWN, "t")
    answer.wait_for_progress()
    kept = other.start_call("legacy__countdown", {"n": 20, "interval": 0.05}, "t")
    begun_s = loser.lose()
    assert all("result" not in message for message in rest_of(answer))
    eventually(
        lambda: cancelled_count(other, "legacy__cancelled") == before + 1, SOON_S, "the server"
    )
    assert time.monotonic() - begun_s < SOON_S
    check_refused(client)
    assert other.outcome(*kept).result["structuredContent"] == {"steps": 20}


@pytest.mark.parametrize("path", ["/mcp", "/servers/modern/mcp"])
def test_a_call_without_an_answer_yet_is_refused(loser: Loser, path: str) -> None:
    """There is no stream that could end: the answer is the same as to the next request."""
    client, other = loser.client(MODERN, path), loser.other(MODERN)
    before = cancelled_count(other, "modern__cancelled")
    tool = "modern__countdown" if path == "/mcp" else "countdown"
    connection = client.begin("tools/call", {"name": tool, "arguments": COUNTDOWN})
    other.call("modern__countdown", n=2, interval=0.05)  # which began later, and has its answer
    begun_s = loser.lose()
    assert Answer(connection).status == 401
    eventually(
        lambda: cancelled_count(other, "modern__cancelled") == before + 1, SOON_S, "the server"
    )
    assert time.monotonic() - begun_s < SOON_S
    connection.close()


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (MODERN, "/mcp"),
        (LEGACY[-1], "/mcp"),
        (MODERN, "/servers/modern/mcp"),
        (LEGACY[-1], "/servers/legacy/mcp"),
    ],
)
def test_a_stream_that_lasts_ends(loser: Loser, version: str, path: str) -> None:
    """A listen at the hub with its result; the session's next request is refused."""
    client, other = loser.client(version, path), loser.other(version, path)
    streams = [listen(client), listen(other)]
    begun_s = loser.lose()
    told = rest_of(streams[0])
    assert time.monotonic() - begun_s < SOON_S
    if (version, path) == (MODERN, "/mcp"):
        assert told[-1]["result"]["resultType"] == "complete"
    check_refused(client)
    assert other.request("tools/list").status == 200
    streams[1].close()


def listen(client: Client) -> Answer:
    if not client.is_modern:
        return client.get()
    wishes = {"notifications": {"toolsListChanged": True}}
    _, answer = client.send("subscriptions/listen", wishes)
    next(answer.messages())
    return answer


def test_a_stream_of_2024_ends(loser: Loser) -> None:
    """And its session with it."""
    opened = [open_sse(loser.stage.relay.port, key) for key in (loser.key, loser.stage.key)]
    begun_s = loser.lose()
    lost, kept = (response for _, response in opened)
    lost.read()
    assert time.monotonic() - begun_s < SOON_S
    assert not kept.isclosed()
    for connection, _ in opened:
        connection.close()


def open_sse(port: int, key: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Open the stream; return when it told where to post to."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    connection.request("GET", "/sse", headers=headers)
    response = connection.getresponse()
    assert response.readline() == b"event: endpoint\n"
    return connection, response


@pytest.mark.parametrize("path", ["/mcp", "/servers/legacy/mcp"])
def test_a_call_whose_client_has_left_is_cancelled(loser: Loser, path: str) -> None:
    """It went on, as it has to in the legacy eras; but not without access."""
    client, other = loser.client(LEGACY[-1], path), loser.other(MODERN)
    tool = "legacy__countdown" if path == "/mcp" else "countdown"
    before = cancelled_count(other, "legacy__cancelled")
    _, answer = client.start_call(tool, COUNTDOWN, "t")
    answer.wait_for_progress()
    answer.close()
    assert cancelled_count(other, "legacy__cancelled") == before
    loser.lose()
    eventually(
        lambda: cancelled_count(other, "legacy__cancelled") == before + 1, SOON_S, "the server"
    )


@BOTH
def test_a_request_that_is_still_coming_is_refused(loser: Loser, version: str) -> None:
    """What comes of it is read by nobody."""
    client = loser.client(version)
    assert client.request("tools/list").status == 200  # from here on the relay knows the key
    connection = http.client.HTTPConnection("127.0.0.1", loser.stage.relay.port, timeout=TIMEOUT_S)
    connection.putrequest("POST", "/mcp")
    for name, value in client.headers("tools/list", {}).items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    assert loser.other(version).request("tools/list").status == 200  # the relay has seen the head
    begun_s = loser.lose()
    response = connection.getresponse()
    assert (response.status, response.headers["connection"]) == (401, "close")
    assert time.monotonic() - begun_s < SOON_S
    connection.close()
