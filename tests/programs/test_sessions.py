"""Sessions of legacy clients outlive the relay: no client has to begin anew."""

import sqlite3

import pytest

from tests.programs import http_server
from tests.programs.client import LEGACY, Client, Outcome
from tests.programs.growing_server import command
from tests.programs.process import eventually
from tests.programs.programs import Agent, Estate, Relay


def restart(relay: Relay, agent: Agent, *, kill: bool = False) -> None:
    """Stop the relay, in order or not at all, and start it again."""
    start = len(agent.program.log)
    if kill:
        relay.program.kill()
    else:
        relay.program.stop()
    relay.start()
    agent.program.wait_for("connected to", start=start)


def delivered(client: Client) -> Outcome | None:
    """Ask a server for its tools; None while the relay does not know that it is there."""
    told = client.request("tools/list")
    return None if told.status == 503 else told


@pytest.mark.parametrize("version", [LEGACY[0], LEGACY[-1]])
def test_a_session_goes_on_after_the_relay_has_started_anew(estate: Estate, version: str) -> None:
    """With all it can do, and for its own key alone; a session that ended stays so."""
    relay = estate.relay().start()
    servers = {"plant": command()}
    agent = estate.agent(relay, relay.key("alice", "agent"), servers=servers).start()
    key = relay.key("alice", "mcp")
    client, ended = (Client(relay.port, key, version).connect() for _ in range(2))
    assert ended.delete() == 204
    assert client.call("plant__grow").text == "grown"
    restart(relay, agent)
    assert client.call("plant__grow").text == "grown"
    stream = client.get()
    assert (stream.status, stream.is_stream) == (200, True)
    assert client.call("plant__grow").text == "grown"
    told = (arrived.message["method"] for arrived in stream.messages())
    assert "notifications/tools/list_changed" in told
    stream.close()
    client.use_key(relay.key("alice", "mcp"))
    ended.use_key(key)
    assert client.request("tools/list").status == 404
    assert ended.request("tools/list").status == 404
    client.use_key(key)
    assert client.delete() == 204


def test_a_servers_own_session_is_its_clients_also_after_a_restart(estate: Estate) -> None:
    """On the untouched path: the relay knows nothing of it any more, but the agent does."""
    relay = estate.relay().start()
    web_port = estate.free_port()
    estate.program("web", http_server.command(web_port)).wait_for("ready")
    servers = {"web": f"http://127.0.0.1:{web_port}/legacy"}
    agent = estate.agent(relay, relay.key("alice", "agent"), servers=servers).start()
    owner, thief = relay.key("alice", "mcp"), relay.key("alice", "mcp")
    client = Client(relay.port, owner, LEGACY[-1], path="/servers/web/mcp").connect()
    restart(relay, agent)
    client.use_key(thief)
    stolen = eventually(lambda: delivered(client), 5, "the agent to tell its servers")
    assert (stolen.status, stolen.error["code"]) == (404, -32001)
    assert client.delete() == 404
    client.use_key(owner)
    assert "add" in client.tools()


def stored(relay: Relay) -> list[tuple[object, ...]]:
    """Return what the store knows of sessions."""
    database = sqlite3.connect(relay.state_dir / "mcptunnel.db")
    try:
        return database.execute("SELECT * FROM mcp_session").fetchall()
    finally:
        database.close()


def test_a_session_survives_a_relay_that_is_killed(estate: Estate) -> None:
    """Once it is written, which is soon. Its id is not in the store, which holds its hash."""
    relay = estate.relay().start()
    agent = estate.agent(relay, relay.key("alice", "agent")).start()
    client = Client(relay.port, relay.key("alice", "mcp"), LEGACY[-1]).connect()
    assert "demo__add" in client.tools()
    for _ in range(1000):
        if stored(relay):
            break
        assert client.request("ping").status == 200
    restart(relay, agent, kill=True)
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    (row,) = stored(relay)
    assert client.session is not None
    assert client.session not in repr(row)


SESSION_BYTES = 6 * 1024
"""What one that was used for a call may take; a user has a thousand at most, a relay ten thousand."""


def test_a_session_for_each_call_costs_little(estate: Estate) -> None:
    """Some applications begin one for every call and never end it: no process is started for that."""
    relay = estate.relay().start()
    agent = estate.agent(relay, relay.key("alice", "agent")).start()
    key = relay.key("alice", "mcp")

    def calls(count: int) -> int:
        before = relay.program.rss_bytes
        for number in range(count):
            client = Client(relay.port, key, LEGACY[-1]).connect()
            assert client.call("demo__add", a=number, b=1).text == f'{{"sum": {number + 1}}}'
        return relay.program.rss_bytes - before

    calls(100)
    processes = len(agent.program.children())
    assert calls(400) < 400 * SESSION_BYTES
    assert len(agent.program.children()) == processes
