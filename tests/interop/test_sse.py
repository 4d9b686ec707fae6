"""Clients of the transport of 2024-11-05 (`/sse`) that are not ours do there all that they do at `/mcp`."""

import pytest

from tests.interop.cases import CASES, LARGE_CHARACTERS, STEPS, ServerCase
from tests.interop.conftest import Runs
from tests.interop.drivers import DRIVERS, Driver, call, pause
from tests.interop.features import CHECKS, Show
from tests.interop.tunnel import OWN_TOOLS

CLIENTS = tuple(each for each in DRIVERS if each.name in ("python-1", "python-2-legacy", "node-1"))
NOT_THEN = {"elicit": "2025-06-18 is the first to know it"}
RICH = ("everything", "reference", "sdk", "demo")
"""The servers that have something besides tools, or can be cancelled; the first client goes to all."""

PAIRS = [
    pytest.param(driver, case, id=f"{case.name}-{driver.name}")
    for case in CASES
    for driver in CLIENTS
    if driver is CLIENTS[0] or case.name in RICH
]
each_pair = pytest.mark.parametrize(("driver", "case"), PAIRS)
each_feature = pytest.mark.parametrize(
    ("driver", "case", "show"),
    [
        pytest.param(*pair.values, show, id=f"{pair.id}-{show.feature}")
        for pair in PAIRS
        for show in pair.values[1].shows  # type: ignore[union-attr]  # a case
        if show.feature not in NOT_THEN
    ],
)
each_pair_with_more = pytest.mark.parametrize(
    ("driver", "case"),
    [pair for pair in PAIRS if pair.values[1].counts_cancelled],  # type: ignore[union-attr]  # a case
)


@each_pair
def test_tools_are_those_of_the_other_transport(
    runs: Runs, driver: Driver, case: ServerCase
) -> None:
    """The same list, and calls work."""
    old, new = (runs.get(driver, route, case).record for route in ("sse", "tunnel"))
    assert old.protocol == "2024-11-05"
    listed, expected = (
        {tool for tool in record.tools(0) if tool in OWN_TOOLS or tool.startswith(f"{case.name}__")}
        - {f"{case.name}__{tool}" for tool in case.passing}
        for record in (old, new)
    )
    assert {*OWN_TOOLS} < listed == expected
    assert case.text in old.text(1)
    assert not old.result(1).get("isError")


@each_feature
def test_a_feature_works(runs: Runs, driver: Driver, case: ServerCase, show: Show) -> None:
    """Lists, prompts, resources, completion, sampling, roots, news of resources and lists, logs."""
    run = runs.get(driver, "sse", case)
    CHECKS[show.feature](show, run.record, run.first(show.feature), run.endpoint)


@each_pair_with_more
def test_progress_and_a_large_result(runs: Runs, driver: Driver, case: ServerCase) -> None:
    """Each step is told; a megabyte comes whole.

    The TypeScript SDK forgets who waits for progress as soon as it has read the result; here it reads
    what came together with that in one go.
    """
    record = runs.get(driver, "sse", case).record
    told = [event.fields["progress"] for event in record.of(2, "progress")]
    everything = list(range(1, STEPS + 1))
    assert told in ((everything, everything[:-1]) if "node" in driver.name else (everything,))
    assert record.text(3) == "x" * LARGE_CHARACTERS


@each_pair_with_more
def test_a_call_given_up_is_cancelled_at_the_server(
    runs: Runs, driver: Driver, case: ServerCase
) -> None:
    """The server is told, and counts it."""
    record = driver.run(
        runs.endpoint("sse", case),
        call("cancelled"),
        call("sleep", seconds=30, cancel_after_s=0.4),
        pause(1),
        call("cancelled"),
    )
    assert record.last(1).name == "cancelled"
    before, after = (int("".join(filter(str.isdigit, record.text(step)))) for step in (0, 3))
    assert after == before + 1
