"""Other people's clients when things go wrong: a call given up, an unknown tool, a crash, a bad key."""

import json
import re
import urllib.error
import urllib.request

import pytest

from tests.interop.cases import CASES, FRAGILE, ServerCase
from tests.interop.conftest import Runs
from tests.interop.drivers import DRIVERS, Driver, Endpoint, Record, call, pause
from tests.interop.tunnel import Tunnel

RESTART_S = 10
LONGEST_ERROR_S = 1.0

each_driver = pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
each_client = pytest.mark.parametrize(
    # Not those behind a proxy: a server that crashes too often is left alone for longer and longer.
    "driver",
    [driver for driver in DRIVERS if driver.proxy is None],
    ids=lambda driver: driver.name,
)
each_pair_that_counts = pytest.mark.parametrize(
    ("driver", "route", "case"),
    [
        pytest.param(driver, route, case, id=f"{route}-{case.name}-{driver.name}")
        for case in CASES
        if case.counts_cancelled
        for route in ("direct", "tunnel")
        if route == "tunnel" or case.is_direct
        for driver in DRIVERS
        if "cancel" not in driver.cannot
    ],
)


def _count(record: Record, step: int) -> int:
    found = re.search(r"\d+", record.text(step))
    assert found is not None
    return int(found[0])


@each_pair_that_counts
def test_a_call_given_up_is_cancelled_at_the_server(
    runs: Runs, driver: Driver, route: str, case: ServerCase
) -> None:
    """The client gives a call up; the server is told, and answers further calls meanwhile."""
    record = driver.run(
        runs.endpoint(route, case),
        call("cancelled"),
        call("sleep", seconds=30, cancel_after_s=0.4),
        pause(0.5),
        call("cancelled"),
        pause(1),
        call("cancelled"),
    )
    assert record.last(1).name == "cancelled"
    assert record.duration_s(1) < 5
    assert _count(record, 5) == _count(record, 0) + 1


@each_client
def test_a_crash_is_told_and_the_server_comes_back(tunnel: Tunnel, driver: Driver) -> None:
    """The caller learns within a second which server failed; the next calls work again."""
    endpoint = Endpoint(tunnel.url, tunnel.token, f"{FRAGILE.name}__")
    add = FRAGILE.simple
    again = {**add, "until_ok_s": RESTART_S}
    record = driver.run(endpoint, again, call("crash"), again)
    assert FRAGILE.name in record.error_text(1)
    assert record.duration_s(1) < LONGEST_ERROR_S
    assert FRAGILE.text in record.text(2)


@each_client
def test_a_crash_costs_nobody_else_anything(tunnel: Tunnel, driver: Driver) -> None:
    """Another server of the same agent answers at once after a crash."""
    crash = {**call("crash"), "name": f"{FRAGILE.name}__crash"}
    add = {**call("add", a=1, b=1), "name": "demo__add"}
    record = driver.run(Endpoint(tunnel.url, tunnel.token), crash, add)
    assert record.error_text(0)
    assert "2" in record.text(1)
    assert record.duration_s(1) < LONGEST_ERROR_S


@each_driver
def test_an_unknown_tool_is_named(tunnel: Tunnel, driver: Driver) -> None:
    """The error says which tool there is not."""
    record = driver.run(Endpoint(tunnel.url, tunnel.token), call("nowhere__nothing"))
    assert "nowhere__nothing" in record.error_text(0)


@each_driver
def test_an_error_of_the_tool_is_the_tools_own(tunnel: Tunnel, driver: Driver) -> None:
    """A result with isError comes through as such, with the server's text."""
    endpoint = Endpoint(tunnel.url, tunnel.token, "time__")
    record = driver.run(endpoint, call("get_current_time", timezone="Mars/Olympus"))
    assert "Mars/Olympus" in record.error_text(0)
    assert record.result(0)["isError"] is True


@each_driver
def test_a_wrong_key_is_refused(tunnel: Tunnel, driver: Driver) -> None:
    """The client fails to connect, and nothing of the key is in the logs."""
    wrong = "mcpt_ak_" + "a" * 40
    with pytest.raises(AssertionError, match=r"401|[Uu]nauthorized|not known"):
        driver.run(Endpoint(tunnel.url, wrong), call("demo__add", a=1, b=1))
    assert wrong not in tunnel.logs()


def test_a_wrong_key_is_answered_with_a_challenge(tunnel: Tunnel) -> None:
    """The status is 401 and the challenge a bare Bearer: in this mode there is nothing to discover."""
    request = urllib.request.Request(tunnel.url, b"{}", {"Authorization": "Bearer wrong"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == 401
        assert answer.headers["WWW-Authenticate"].split()[0].rstrip(",") == "Bearer"
        assert "resource_metadata" not in answer.headers["WWW-Authenticate"]


def test_no_key_is_in_any_log(tunnel: Tunnel) -> None:
    """Neither the client's key nor the agent's was written anywhere."""
    logs = tunnel.logs()
    assert tunnel.token not in logs
    assert tunnel.agent_key not in logs


def test_health_is_json_and_says_connected(tunnel: Tunnel) -> None:
    """What a person's monitoring reads."""
    status, body = tunnel.get("/health")
    answer = json.loads(body)
    assert (status, answer["status"], answer["tunnel"]) == (200, "ok", "connected")
