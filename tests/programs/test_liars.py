"""Servers that are up and of no use: each costs itself alone, and `status` says what is wrong."""

import time

import pytest

from tests.programs.client import LEGACY, MODERN, Client
from tests.programs.lying_server import KINDS, command
from tests.programs.process import eventually
from tests.programs.programs import DEMO_SERVER, Estate

TIMEOUT_S = 1.0

TOLD = {
    "silent": "its tools could not be listed: no answer within 1 s",
    "slow": "its tools could not be listed: no answer within 1 s",
    "endless": "its list of tools goes on and on",
    "circle": "1 tools are left out",
    "nonsense": "its tools could not be listed: The server's answer to tools/list is malformed",
    "error": "its tools could not be listed: no licence",
    "noisy": "",
    "good": "",
}
"""What is wrong with each."""


@pytest.mark.parametrize("version", [MODERN, LEGACY[-1]])
def test_each_costs_itself_alone(estate: Estate, version: str) -> None:
    """The list is complete but for them, in about the time that one server has; a call needs none of it."""
    relay = estate.relay(f"[hub]\nserver_timeout_s = {TIMEOUT_S}\n").start()
    servers = {"good": DEMO_SERVER, **{kind: command(kind) for kind in KINDS}}
    estate.agent(relay, relay.key("alice", "agent"), servers=servers).start()
    client = Client(relay.port, relay.key("alice", "mcp"), version).connect()
    eventually(lambda: '"sum": 3' in str(client.call("good__add", a=1, b=2).result), 5, "a result")
    began_s = time.monotonic()
    assert {"good__add", "noisy__hello", "circle__t2", "endless__t99"} <= client.tools().keys()
    assert time.monotonic() - began_s < 2 * TIMEOUT_S + 2
    assert client.call("noisy__hello").text == "hello"
    (device,) = client.call("status").result["structuredContent"]["devices"]
    told = {server["name"]: server["detail"] for server in device["servers"]}
    assert told.keys() == TOLD.keys()
    for name, detail in TOLD.items():
        assert told[name].startswith(detail), told
        assert bool(told[name]) is bool(detail), told
