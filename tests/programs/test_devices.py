"""Several agents of one user: names of devices and of tools, and who replaces whom."""

from tests.programs.client import Client
from tests.programs.conftest import Stage
from tests.programs.process import STOP_TIMEOUT_S
from tests.programs.programs import Estate


def test_two_machines_with_one_name(stage: Stage, estate: Estate) -> None:
    """The second becomes laptop-2, is told so, and keeps that; no name of a tool ever breaks."""
    relay = stage.relay
    key = relay.key("frank", "agent")
    client = Client(relay.port, relay.key("frank", "mcp"))
    first = estate.agent(relay, key).start()
    assert set(client.tools()) >= {"demo__add"}
    second = estate.agent(relay, key).start()
    second.program.wait_for("'laptop-2'")
    names = set(client.tools())
    assert names >= {"laptop__demo__add", "laptop-2__demo__add"}
    assert not [name for name in names if name.startswith("demo__")]
    assert client.call("laptop-2__demo__add", a=1, b=2).text == '{"sum": 3}'
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    first.program.stop()
    away = client.call("demo__add", a=1, b=2)  # bound to the first for good
    assert away.is_error
    assert away.outcome == "not_delivered"
    assert client.call("laptop-2__demo__add", a=1, b=2).text == '{"sum": 3}'
    second.program.stop()
    second.start()
    second.program.wait_for("as laptop-2")
    assert "laptop: offline" in client.call("status").text
    assert "laptop-2: connected" in client.call("status").text


def test_names_survive_a_restart_of_the_relay(estate: Estate) -> None:
    """Both the old bare name and the new ones; also while the device is away, which is then said.

    So does the short address of a server: the second device never answers in place of the first.
    """
    relay = estate.relay().start()
    key, opens = relay.key("alice", "agent"), relay.key("alice", "mcp")
    client, short = Client(relay.port, opens), Client(relay.port, opens, path="/servers/demo/mcp")
    first = estate.agent(relay, key).start()
    assert "demo__add" in client.tools()
    second = estate.agent(relay, key).start()
    assert "laptop-2__demo__add" in client.tools()
    first.program.stop()
    start = len(second.program.log)
    relay.program.stop()
    relay.start()
    away = client.call("demo__add", a=1, b=2)
    assert away.outcome == "not_delivered"
    assert "'laptop' is offline" in away.text
    second.program.wait_for("connected to", start=start)
    assert client.call("laptop-2__demo__add", a=1, b=2).text == '{"sum": 3}'
    assert short.request("tools/list").status == 503
    first.start()
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert short.call("add", a=1, b=2).text == '{"sum": 3}'


def test_a_second_process_of_an_installation_ends_the_first(stage: Stage, estate: Estate) -> None:
    """The first says why and what to do, exits with 1 and does not come back; calls go on."""
    relay = stage.relay
    agent = estate.agent(relay, relay.key("grace", "agent")).start()
    client = Client(relay.port, relay.key("grace", "mcp"))
    assert "demo__add" in client.tools()
    first = agent.program
    agent.start()
    assert first.exit_code(STOP_TIMEOUT_S) == 1
    assert "mcptunnel-agent: Another process of this installation connected" in first.log
    assert "give each a state_dir of its own" in first.log
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    (device,) = client.call("status").result["structuredContent"]["devices"]
    assert (device["name"], device["connected"]) == ("laptop", True)
