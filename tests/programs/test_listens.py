"""Clients that listen: what changes on devices reaches them, whatever goes and comes meanwhile."""

import pytest

from tests.programs import shelf_server
from tests.programs.client import LEGACY, MODERN, Answer, Client, Json
from tests.programs.growing_server import command
from tests.programs.programs import DEMO_SERVER, Agent, Estate, Relay

CHANGED = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"


@pytest.fixture
def relay(estate: Estate) -> Relay:
    return estate.relay().start()


@pytest.fixture
def agent(estate: Estate, relay: Relay) -> Agent:
    servers = {"plant": command()}
    return estate.agent(relay, relay.key("alice", "agent"), servers=servers).start()


def heard(answer: Answer) -> Json:
    """Wait for the next message."""
    return next(answer.messages()).message


def until(answer: Answer, method: str) -> Json:
    """Wait for a message of this method, whatever comes before."""
    while (told := heard(answer)).get("method") != method:
        pass
    return told


def listen(client: Client) -> Answer:
    """Listen for changes of tools, as the era does it; the stream has begun when this returns."""
    if not client.is_modern:
        answer = client.get()
        assert (answer.status, answer.is_stream) == (200, True)
        return answer
    wishes = {"notifications": {"toolsListChanged": True, "resourcesListChanged": False}}
    request_id, answer = client.send("subscriptions/listen", wishes)
    told = heard(answer)
    assert told["method"] == "notifications/subscriptions/acknowledged"
    assert told["params"]["notifications"] == {"toolsListChanged": True}
    assert told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == request_id
    return answer


@pytest.mark.parametrize("version", [MODERN, LEGACY[0], LEGACY[-1]])
def test_a_client_hears_that_tools_have_changed(
    estate: Estate, relay: Relay, agent: Agent, version: str
) -> None:
    """By themselves, and because a device came; and asks for them then."""
    client = Client(relay.port, relay.key("alice", "mcp"), version).connect()
    assert "plant__grow" in client.tools()
    stream = listen(client)
    assert client.call("plant__grow").text == "grown"
    until(stream, CHANGED)
    assert "plant__grown1" in client.tools()
    agent.program.stop()
    agent.spawn().wait_for("connected to")
    key = relay.key("alice", "agent")
    estate.agent(relay, key, name="tower", servers={"demo": DEMO_SERVER}).start()
    until(stream, CHANGED)
    while "tower__demo__add" not in client.tools():
        until(stream, CHANGED)
    stream.close()


def test_a_relay_that_stops_ends_listens_in_order(relay: Relay, agent: Agent) -> None:
    """A modern one with its result, a GET stream with its end; it waits for none of them."""
    key = relay.key("alice", "mcp")
    assert "plant__grow" in Client(relay.port, key).tools()  # and the relay asks nothing any more
    streams = [listen(Client(relay.port, key, one).connect()) for one in (MODERN, LEGACY[-1])]
    relay.program.stop()
    modern, legacy = (list(stream.messages()) for stream in streams)
    for stream in streams:
        stream.close()
    (ended,) = (one.message for one in modern)
    assert ended["result"]["resultType"] == "complete"
    assert ended["result"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": ended["id"]}
    assert all("id" not in one.message for one in legacy)
    assert "draining" not in relay.program.log
    agent.program.wait_for("the relay is stopping")


@pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
def test_a_client_hears_that_a_resource_was_updated(
    relay: Relay, agent: Agent, version: str
) -> None:
    """One that it subscribed to, and no other; also after the agent has started anew."""
    client = Client(relay.port, relay.key("alice", "mcp"), version).connect()
    listed = client.request("resources/list").result["resources"]
    assert [one["uri"] for one in listed] == ["plant:leaf", "plant:root"]
    if client.is_modern:
        wishes = {"notifications": {"resourceSubscriptions": ["plant:root"]}}
        _, stream = client.send("subscriptions/listen", wishes)
        assert heard(stream)["params"]["notifications"] == wishes["notifications"]
    else:
        assert client.request("resources/subscribe", {"uri": "plant:root"}).result == {}
        stream = client.get()

    client.call("plant__grow")
    assert until(stream, UPDATED)["params"]["uri"] == "plant:root"
    agent.program.stop()
    agent.spawn().wait_for("connected to")
    assert until(stream, UPDATED)["params"]["uri"] == "plant:root"
    client.call("plant__grow")
    assert until(stream, UPDATED)["params"]["uri"] == "plant:root"
    stream.close()


@pytest.fixture
def shelf(estate: Estate, relay: Relay) -> None:
    """A legacy server with resources that takes no subscriptions, and declares none."""
    servers = {"shelf": shelf_server.command("old", "--legacy")}
    estate.agent(relay, relay.key("alice", "agent"), servers=servers).start()


@pytest.mark.usefixtures("shelf")
def test_a_listener_hears_that_a_server_refuses(relay: Relay) -> None:
    """By one update, and the listen goes on; the next one is told that the URI is not honoured."""
    client = Client(relay.port, relay.key("alice", "mcp")).connect()
    assert client.request("resources/list").result["resources"]
    wishes = {"notifications": {"resourceSubscriptions": [shelf_server.ITEM]}}
    _, stream = client.send("subscriptions/listen", wishes)
    assert heard(stream)["params"]["notifications"] == wishes["notifications"]
    told = heard(stream)
    assert (told["method"], told["params"]["uri"]) == (UPDATED, shelf_server.ITEM)
    _, again = client.send("subscriptions/listen", wishes)
    assert heard(again)["params"]["notifications"] == {}
    relay.program.stop()
    for open_stream in (stream, again):
        assert heard(open_stream)["result"]["resultType"] == "complete"
        open_stream.close()


@pytest.mark.usefixtures("shelf")
def test_a_client_with_a_session_hears_that_a_server_refuses(relay: Relay) -> None:
    """At the hub by one update, at the server's own endpoint by an error."""
    key, asked = relay.key("alice", "mcp"), {"uri": shelf_server.ITEM}
    client = Client(relay.port, key, LEGACY[-1]).connect()
    assert client.request("resources/list").result["resources"]
    stream = client.get()
    assert client.request("resources/subscribe", asked).result == {}
    assert until(stream, UPDATED)["params"] == asked
    assert client.request("resources/subscribe", asked).error["code"] == -32602
    stream.close()
    own = Client(relay.port, key, LEGACY[-1], path="/servers/shelf/mcp").connect()
    refused = own.request("resources/subscribe", asked).error
    assert refused["code"] == -32602
    assert "does not tell of changes" in refused["message"]
