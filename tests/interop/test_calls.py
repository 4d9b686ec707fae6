"""Other people's clients reach other people's servers: list, call, progress, a large result.

Each pair runs first directly, which shows that client and server work, then through the tunnel.
"""

from typing import Any

import pytest

from tests.interop import raw_stdio
from tests.interop.cases import (
    CASES,
    INTERVAL_S,
    LARGE_CHARACTERS,
    STEPS,
    ServerCase,
    everything,
)
from tests.interop.conftest import Runs
from tests.interop.drivers import DRIVERS, Driver
from tests.interop.tunnel import PYTHONPATH

FIELDS = ("title", "description", "inputSchema", "outputSchema", "annotations", "icons", "_meta")

PAIRS = [
    pytest.param(driver, route, case, id=f"{route}-{case.name}-{driver.name}")
    for case in CASES
    for route in ("direct", "tunnel")
    if route == "tunnel" or case.is_direct
    for driver in DRIVERS
]
each_pair = pytest.mark.parametrize(("driver", "route", "case"), PAIRS)
each_pair_with_progress = pytest.mark.parametrize(
    ("driver", "route", "case"),
    [pair for pair in PAIRS if pair.values[2].progress is not None],  # type: ignore[union-attr]  # a case
)
each_pair_with_large = pytest.mark.parametrize(
    ("driver", "route", "case"),
    [pair for pair in PAIRS if pair.values[2].large is not None],  # type: ignore[union-attr]  # a case
)
each_tunnelled_pair = pytest.mark.parametrize(
    ("driver", "case"),
    [
        pytest.param(driver, case, id=f"{case.name}-{driver.name}")
        for case in CASES
        for driver in DRIVERS
    ],
)


@pytest.fixture(scope="session")
def own_tools(runs: Runs) -> "OwnTools":
    return OwnTools(runs)


class OwnTools:
    """What each server itself says about its tools."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._stdio: dict[str, dict[str, dict[str, Any]]] = {}

    def of(self, driver: Driver, case: ServerCase) -> dict[str, dict[str, Any]]:
        """Return the tools by name: as the same client sees them directly, or read off stdio."""
        if case.is_direct:
            return self._runs.get(driver, "direct", case).record.tools(0)
        if case.name not in self._stdio:
            command = everything("stdio") if case.command is None else case.command()
            tools = raw_stdio.list_tools(command, PYTHONPATH)
            self._stdio[case.name] = {tool["name"]: tool for tool in tools}
        return self._stdio[case.name]


@each_pair
def test_negotiates_the_newest_era_both_have(
    runs: Runs, driver: Driver, route: str, case: ServerCase
) -> None:
    """A client that can speak 2026-07-28 does so with our hub, whatever the server behind speaks."""
    protocol = runs.get(driver, route, case).record.protocol
    if driver.proxy is not None:
        return  # what we see is between the client and the proxy
    if driver.era == "legacy":
        assert protocol < "2026"
    elif route == "tunnel" or not case.name.startswith("everything"):
        assert protocol == "2026-07-28"


@each_tunnelled_pair
def test_lists_every_tool_with_all_its_fields(
    runs: Runs, own_tools: OwnTools, driver: Driver, case: ServerCase
) -> None:
    """The hub's list has exactly the server's tools, each field as the server wrote it.

    Except for `x-mcp-header`: the hub reads no such headers, so it must not ask for them. A tool that
    must be called as a task is hidden; and a server has more tools for who can be asked something.
    """
    listed = runs.get(driver, "tunnel", case).record.tools(0)
    prefix = f"{case.name}__"
    own = own_tools.of(driver, case)
    seen = {name.removeprefix(prefix): tool for name, tool in listed.items() if prefix in name}
    expected_names = (own.keys() | case.asking) - case.tasks - case.passing
    assert seen.keys() - case.passing == expected_names
    for name, tool in own.items():
        if name not in expected_names:
            continue
        for field in FIELDS:
            expected = _without(tool.get(field), "x-mcp-header")
            assert seen[name].get(field) == expected, (name, field)


def _without(value: Any, key: str) -> Any:
    """Return a JSON value without the members of that name, at any depth."""
    if isinstance(value, dict):
        return {name: _without(inner, key) for name, inner in value.items() if name != key}
    return [_without(inner, key) for inner in value] if isinstance(value, list) else value


@each_pair
def test_calls_a_tool(runs: Runs, driver: Driver, route: str, case: ServerCase) -> None:
    """A small call answers with what the server answers."""
    record = runs.get(driver, route, case).record
    assert case.text in record.text(1)
    assert not record.result(1).get("isError")


@each_pair_with_progress
def test_progress_arrives_while_the_call_runs(
    runs: Runs, driver: Driver, route: str, case: ServerCase
) -> None:
    """Progress events come one by one, in order, as the server sends them: none is held back.

    The reference server's tool takes a tenth of a second, and a client that gets no turn meanwhile sees
    less of it. So it is called three times, and the call that shows the longest time between the first
    event and the result counts: who holds events back would do so each time.
    """
    run = runs.get(driver, route, case)
    first = run.first("progress")
    seen_s: list[float] = []
    is_long = case.counts_cancelled or case.name.startswith("everything")
    for step in range(first, first + case.progress_calls):
        events, end = run.record.of(step, "progress"), run.record.last(step)
        assert end.name == "result"
        expected = list(range(1, STEPS + 1)) if is_long else [0, 50, 100]
        assert [event.fields["progress"] for event in events] == expected
        seen_s.append(end.t_s - events[0].t_s)
    # The first comes after one interval, the result after all of them.
    assert max(seen_s) > (INTERVAL_S * (STEPS - 1) * 0.7 if is_long else 0.07)


@each_pair_with_large
def test_a_large_result_arrives_whole(
    runs: Runs, driver: Driver, route: str, case: ServerCase
) -> None:
    """A result of a megabyte comes complete."""
    run = runs.get(driver, route, case)
    assert run.record.text(run.first("large")) == "x" * LARGE_CHARACTERS
