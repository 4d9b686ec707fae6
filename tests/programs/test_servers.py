"""Local servers that crash or are restarted, seen by a client."""

import re
import time

import pytest

from tests.programs.client import LEGACY, MODERN, Client
from tests.programs.conftest import Stage
from tests.programs.process import eventually
from tests.programs.programs import DEMO_SERVER


@pytest.fixture(scope="module")
def client(stage: Stage) -> Client:
    """A user with a device of their own, on the shared relay; two servers."""
    servers = {"demo": DEMO_SERVER, "other": DEMO_SERVER}
    stage.estate.agent(stage.relay, stage.relay.key("ken", "agent"), servers=servers).start()
    client = Client(stage.relay.port, stage.relay.key("ken", "mcp"))
    assert set(client.tools()) >= {"demo__crash", "other__add"}
    return client


@pytest.fixture(autouse=True)
def _servers_are_up(client: Client) -> None:
    """One test's crash is over before the next test begins."""
    for server in ("demo", "other"):
        wait_until_up(client, server)


def wait_until_up(client: Client, server: str) -> None:
    """Wait until a server takes calls."""
    eventually(
        lambda: not client.call(f"{server}__add", a=1, b=2).is_error, 5, f"{server} to be up"
    )


def restarts(client: Client, server: str) -> int:
    """Return how often a server ended and was started again, as `status` says."""
    (device,) = client.call("status").result["structuredContent"]["devices"]
    (found,) = (each for each in device["servers"] if each["name"] == server)
    count: int = found["restarts"]
    return count


def test_a_crash_in_a_call_is_told_and_mended(client: Client) -> None:
    """Within a second the caller hears which server it was; the next call finds it up again."""
    before, before_s = restarts(client, "demo"), time.monotonic()
    crashed = client.call("demo__crash")
    assert crashed.at_s - before_s < 1
    assert crashed.is_error
    assert crashed.outcome == "unknown"
    assert "'demo' exited (exit code 70)" in crashed.text
    assert client.call("other__add", a=1, b=2).text == '{"sum": 3}'
    wait_until_up(client, "demo")
    eventually(lambda: restarts(client, "demo") == before + 1, 1, "`status` to count it")


def test_calls_beside_a_crash_fail_with_it_and_others_do_not(client: Client) -> None:
    """Two calls on the server that crashes, one on the other server of the same device."""
    slow = {"n": 8, "interval": 0.05}
    doomed = client.start_call("demo__countdown", {"n": 1000, "interval": 0.05}, "a")
    spared = client.start_call("other__countdown", slow, "b")
    for _, answer in (doomed, spared):
        answer.wait_for_progress()
    assert client.call("demo__crash").is_error
    assert client.outcome(*doomed).is_error
    assert client.outcome(*spared).result["structuredContent"] == {"steps": 8}


def test_a_call_right_after_a_crash_is_answered(client: Client) -> None:
    """It waits for the new process."""
    client.call("demo__crash")
    called = client.call("demo__add", a=1, b=2)
    assert not called.is_error
    assert called.text == '{"sum": 3}'


def test_restart_makes_a_new_process(client: Client) -> None:
    """The call under way on that server ends; the other server hears nothing of it."""
    doomed = client.start_call("demo__countdown", {"n": 1000, "interval": 0.05}, "a")
    spared = client.start_call("other__countdown", {"n": 8, "interval": 0.05}, "b")
    for _, answer in (doomed, spared):
        answer.wait_for_progress()
    restarted = client.call("restart", server="demo")
    assert not restarted.is_error
    assert restarted.text == "restarting demo"
    ended = client.outcome(*doomed)
    assert ended.is_error
    assert "'demo' was stopped" in ended.text
    assert client.outcome(*spared).result["structuredContent"] == {"steps": 8}
    wait_until_up(client, "demo")
    unknown = client.call("restart", server="nothing")
    assert unknown.is_error
    assert "nothing" in unknown.text


@pytest.mark.parametrize("version", [LEGACY[0], MODERN])
def test_status_tells_of_devices_and_servers(stage: Stage, version: str) -> None:
    """As text for a model and as data for a program, to clients of both eras."""
    told = stage.client(version).call("status")
    assert re.match(r"laptop: connected, round trip [\d.]+ ms\n", told.text)
    (device,) = told.result["structuredContent"]["devices"]
    assert {server["name"]: (server["kind"], server["state"]) for server in device["servers"]} == {
        "legacy": ("stdio", "ready"),
        "modern": ("stdio", "ready"),
        "paged": ("stdio", "ready"),
        "weblegacy": ("http", "ready"),
        "webmodern": ("http", "ready"),
    }


def test_meta_tools_are_there_without_any_agent(stage: Stage) -> None:
    client = Client(stage.relay.port, stage.relay.key("nobody", "mcp"))
    assert list(client.tools()) == ["restart", "status"]
    assert "No device is known" in client.call("status").text
    nothing = client.call("restart")
    assert nothing.is_error
    assert "No device is connected" in nothing.text
