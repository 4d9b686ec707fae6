"""Single servers through relay and agent: every era of client with every kind and era of server."""

import json
import sys
from pathlib import Path

import pytest

from tests.programs.client import LEGACY, MODERN, VERSIONS, Answer, Client, Json, Outcome
from tests.programs.conftest import Stage
from tests.programs.process import eventually
from tests.programs.raw import fetch, request

SERVERS = ("legacy", "modern", "paged", "weblegacy", "webmodern")
ASKING = Path(__file__).parents[1] / "agent" / "servers" / "asking_server.py"
FORM: Json = {"elicitation": {"form": {}}}
ANSWER: Json = {"action": "accept", "content": {"name": "Ada"}}

pairings = pytest.mark.parametrize(
    ("version", "server"), [(version, server) for version in VERSIONS for server in SERVERS]
)


def connected(stage: Stage, version: str, server: str) -> Client:
    path = f"/servers/{server}/mcp"
    return Client(stage.relay.port, stage.key, version, path=path).connect()


@pairings
def test_tools_are_listed_and_called_under_their_own_names(
    stage: Stage, version: str, server: str
) -> None:
    """Whatever the eras are; the pages are the server's own."""
    client = connected(stage, version, server)
    listed = list(client.tools())
    assert listed[:2] == ["add", "cancelled"]
    assert len(listed) == (2 if server == "paged" else 7)
    called = client.call("add", a=2, b=40)
    assert (called.status, called.result["structuredContent"]) == (200, {"sum": 42})
    assert called.result.get("resultType") == ("complete" if version == MODERN else None)


@pairings
def test_progress_arrives_while_the_call_runs(stage: Stage, version: str, server: str) -> None:
    called = connected(stage, version, server).call("countdown", "mine", n=2, interval=0.1)
    reports = [arrived.message["params"] for arrived in called.progress]
    assert [report["progress"] for report in reports] == [1, 2]
    assert {report["progressToken"] for report in reports} == {"mine"}
    assert called.at_s - called.progress[0].at_s > 0.05


def cancelled_count(client: Client, prefix: str = "") -> int:
    count: int = client.call(f"{prefix}cancelled").result["structuredContent"]["count"]
    return count


@pairings
def test_a_server_hears_of_a_cancelled_call(stage: Stage, version: str, server: str) -> None:
    """A modern client cancels by closing the stream, a legacy one by a notification."""
    client = connected(stage, version, server)
    before = cancelled_count(client)
    request_id, answer = client.start_call("countdown", {"n": 1000, "interval": 0.02}, "mine")
    answer.wait_for_progress()
    if not client.is_modern:
        params = {"requestId": request_id, "reason": "enough"}
        assert client.notify("notifications/cancelled", params) == 202
    else:
        answer.close()
    eventually(lambda: cancelled_count(client) == before + 1, 5, "the server to hear of it")
    answer.close()


@pytest.mark.parametrize("server", ["legacy", "modern", "paged"])
def test_what_modern_clients_cannot_ask_is_not_found(stage: Stage, server: str) -> None:
    client = connected(stage, MODERN, server)
    for method in ("ping", "initialize", "vendor/unknown"):
        refused = client.request(method)
        assert (refused.status, refused.error["code"]) == (404, -32601)


@pytest.mark.parametrize(
    "place", ["servers/legacy/mcp", "servers/modern/mcp", "servers/webmodern/mcp", "mcp"]
)
def test_a_batch_of_2025_03_26(stage: Stage, place: str) -> None:
    """An array gets an array wherever the answer is ours, whatever the server's era; elsewhere 400."""
    prefix = "" if place.startswith("servers") else "modern__"
    sums = [{"name": f"{prefix}add", "arguments": {"a": 40, "b": b}} for b in (1, 2)]
    calls = [{"id": f"c{n}", "method": "tools/call", "params": each} for n, each in enumerate(sums)]
    cancelled: Json = {"method": "notifications/cancelled", "params": {"requestId": "nothing"}}
    batch = [
        {"jsonrpc": "2.0", **each} for each in (*calls, cancelled, {"id": 1, "method": "ping"})
    ]
    for version, status in ((LEGACY[0], 200), (LEGACY[1], 400)):
        client = Client(stage.relay.port, stage.key, version, path=f"/{place}").connect()
        fields = {name.replace("-", "_"): value for name, value in client.headers("", {}).items()}
        body = json.dumps(batch).encode()
        reply = fetch(stage.relay.port, request("POST", f"/{place}", body, **fields))
        assert reply.status == status
        if status == 200:
            found = {each["id"]: each["result"] for each in reply.json}
            assert [found[f"c{n}"]["structuredContent"]["sum"] for n in (0, 1)] == [41, 42]
            assert (found[1], len(reply.json)) == ({}, 3)


@pytest.mark.parametrize("server", ["legacy", "modern", "paged"])
def test_a_session_is_its_keys_alone(stage: Stage, server: str) -> None:
    client = connected(stage, LEGACY[-1], server)
    stranger = Client(
        stage.relay.port,
        stage.relay.key("alice", "mcp"),
        LEGACY[-1],
        path=f"/servers/{server}/mcp",
    )
    stranger.session = client.session
    assert stranger.request("ping").status == 404
    assert client.request("ping").status == 200
    assert client.delete() == 204
    assert client.request("ping").status == 404


def test_a_get_without_a_session_is_not_offered(stage: Stage) -> None:
    bearer = f"Bearer {stage.key}"
    reply = fetch(stage.relay.port, request("GET", "/servers/legacy/mcp", authorization=bearer))
    assert (reply.status, reply.headers["allow"]) == (405, "POST, DELETE")


# A server that asks.


@pytest.fixture(scope="module")
def asking(stage: Stage) -> Stage:
    """A user whose servers ask, in either era, and one that does not start."""
    key = stage.relay.key("judy", "agent")
    servers = {era: (sys.executable, str(ASKING), era) for era in ("legacy", "modern", "both")}
    broken = {"broken": (sys.executable, "-c", "raise SystemExit(3)")}
    agent = stage.estate.agent(stage.relay, key, name="desk", servers={**servers, **broken})
    agent.start()
    return Stage(stage.estate, stage.relay, agent, stage.relay.key("judy", "mcp"))


def asked(answer: Answer) -> Json:
    """Return the server's question on the stream of a call."""
    for arrived in answer.messages():
        if "method" in arrived.message and "id" in arrived.message:
            return arrived.message
    raise AssertionError("no question")


def failure(told: Outcome) -> str:
    """Return what is said of a call that failed: as an error, or at the hub as a result."""
    return str(told.error["message"]) if told.error else told.text


@pytest.mark.parametrize("era", ["legacy", "modern", "both"])
@pytest.mark.parametrize("at_hub", [False, True])
@pytest.mark.parametrize("version", LEGACY[1:])
def test_a_legacy_client_is_asked_on_the_stream_of_its_call(
    asking: Stage, version: str, era: str, at_hub: bool
) -> None:
    path, tool = ("/mcp", f"{era}__ask") if at_hub else (f"/servers/{era}/mcp", "ask")
    port, key = asking.relay.port, asking.key
    client = Client(port, key, version, path=path, capabilities={"elicitation": {}}).connect()
    request_id, answer = client.start_call(tool, {})
    question = asked(answer)
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"].endswith("Your name?")
    assert client.reply(question["id"], ANSWER) == 202
    assert "Ada" in client.outcome(request_id, answer).text


@pytest.mark.parametrize("path", ["/mcp", "/servers/both/mcp"])
def test_answers_to_a_process_that_is_gone_go_to_no_other(asking: Stage, path: str) -> None:
    """The program's other process, which serves modern clients, has never heard of the call."""
    port, key, prefix = asking.relay.port, asking.key, "both__" if path == "/mcp" else ""
    form: Json = {"elicitation": {}}
    client = Client(port, key, LEGACY[-1], path=path, capabilities=form).connect()
    modern = Client(port, key, path=path)
    before = modern.call(f"{prefix}state").text
    request_id, answer = client.start_call(f"{prefix}ask", {})
    question = asked(answer)
    other = Client(port, key, LEGACY[-1], path=path).connect()
    assert "exited (exit code 3)" in failure(other.call(f"{prefix}crash"))
    assert client.reply(question["id"], ANSWER) == 202
    told = failure(client.outcome(request_id, answer))
    assert "'both' ended while the call waited for answers of its client" in told
    assert modern.call(f"{prefix}state").text == before
    eventually(lambda: "pid" in client.call(f"{prefix}state").text, 5, "a new process")


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_modern_client_asks_again_with_the_answers(asking: Stage, era: str) -> None:
    path = f"/servers/{era}/mcp"
    client = Client(asking.relay.port, asking.key, path=path, capabilities=FORM)
    params: Json = {"name": "ask", "arguments": {}}
    first = client.request("tools/call", params).result
    assert first["resultType"] == "input_required"
    ((key, question),) = first["inputRequests"].items()
    assert question["method"] == "elicitation/create"
    more = {"inputResponses": {key: ANSWER}, "requestState": first["requestState"]}
    assert "Ada" in client.outcome(*client.send("tools/call", {**params, **more})).text


def test_a_crash_in_a_call_may_have_run(asking: Stage) -> None:
    """And is told under the client's id; the next call finds a new process."""
    for version in (MODERN, LEGACY[-1]):
        path = "/servers/legacy/mcp"
        client = Client(asking.relay.port, asking.key, version, path=path).connect()
        crashed = client.call("crash")
        assert (crashed.status, crashed.error["data"]) == (502, {"outcome": "unknown"})
        assert "'legacy' exited (exit code 3)" in crashed.error["message"]
        assert client.call("state").result["content"]


def test_a_server_that_does_not_start_was_not_asked(asking: Stage) -> None:
    client = Client(asking.relay.port, asking.key, path="/servers/broken/mcp")

    def refused() -> bool:
        told = client.call("x")
        return (told.status, told.error["data"]) == (503, {"outcome": "not_delivered"})

    eventually(refused, 5, "the server to be given up for now")


@pytest.mark.parametrize(
    ("path", "prefix"), [("/servers/paged/mcp", ""), ("/mcp", "paged__")], ids=["own", "hub"]
)
def test_a_program_of_both_eras_has_a_process_for_each(
    stage: Stage, path: str, prefix: str
) -> None:
    """Clients of both at once, and nobody's conversation is the other's; also at the hub."""
    port, key, name = stage.relay.port, stage.key, f"{prefix}countdown"
    old, new = (Client(port, key, version, path=path).connect() for version in (LEGACY[-1], MODERN))
    arguments = {"n": 3, "interval": 0.05}
    calls = [client.start_call(name, arguments, "same") for client in (old, new)]
    for client, call in zip((old, new), calls, strict=True):
        assert client.outcome(*call).result["structuredContent"] == {"steps": 3}
    before, gone = cancelled_count(new, prefix), cancelled_count(old, prefix)
    request_id, answer = old.start_call(name, {"n": 1000, "interval": 0.02}, "t")
    answer.wait_for_progress()
    old.notify("notifications/cancelled", {"requestId": request_id})
    eventually(lambda: cancelled_count(old, prefix) > gone, 5, "the old process to hear of it")
    assert cancelled_count(new, prefix) == before
    answer.close()


def test_a_body_that_is_too_large_to_be_read(stage: Stage) -> None:
    client = connected(stage, MODERN, "modern")
    answer = client.post(
        {"id": 1, "method": "tools/call"},
        {"name": "echo", "arguments": {"x": "x" * 5_000_000}},
    )
    (told,) = answer.messages()
    answer.close()
    assert answer.status == 413
    assert "larger than" in json.dumps(told.message)
