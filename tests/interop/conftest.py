"""Fixtures: the running HTTP servers, the tunnel in front of all servers, and runs of clients."""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.interop import environments
from tests.interop.cases import CASES, FRAGILE, ServerCase
from tests.interop.drivers import Driver, Endpoint, Record, Step
from tests.interop.processes import free_port
from tests.interop.tunnel import Tunnel

_TUNNEL = pytest.StashKey[Tunnel]()
_LOG_SIZES = pytest.StashKey[dict[str, int]]()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a client against a server: what it reported, and where each feature's steps are."""

    endpoint: Endpoint
    record: Record
    first_steps: Mapping[str, int]

    def first(self, feature: str) -> int:
        """Return the index of the first step that shows a feature."""
        return self.first_steps[feature]


class Runs:
    """Each client against each server once; several tests look at the same record."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._runs: dict[tuple[str, str, str], Run | AssertionError] = {}

    def endpoint(self, route: str, case: ServerCase) -> Endpoint:
        """Return where a server is reached: `direct`, or by one of the hub's transports."""
        if route == "direct":
            urls: dict[str, str] = self._request.getfixturevalue("http_servers")
            return Endpoint(urls[case.name])
        tunnel: Tunnel = self._request.getfixturevalue("tunnel")
        url = f"{tunnel.origin}/sse" if route == "sse" else tunnel.url
        return Endpoint(url, tunnel.token, f"{case.name}__", tunnel.uris(case.name))

    def get(self, driver: Driver, route: str, case: ServerCase) -> Run:
        """Return what the client saw of everything that the server has."""
        key = (driver.name, route, case.name)
        if key not in self._runs:
            self._runs[key] = self._run(driver, route, case)
        found = self._runs[key]
        if isinstance(found, AssertionError):
            raise found
        return found

    def _run(self, driver: Driver, route: str, case: ServerCase) -> Run | AssertionError:
        steps: list[Step] = []
        first_steps: dict[str, int] = {}
        for feature, wanted in case.steps(driver).items():
            first_steps[feature] = len(steps)
            steps += wanted
        endpoint = self.endpoint(route, case)
        try:
            return Run(endpoint, driver.run(endpoint, *steps), first_steps)
        except AssertionError as error:
            return error


@pytest.fixture(scope="session")
def installed() -> None:
    """Make the environments. Without npm the tests are skipped, except in CI."""
    try:
        environments.python_mcp_1()
        environments.python_mcp_2()
        environments.node_packages()
    except environments.MissingToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def with_provider(
    installed: None,  # noqa: ARG001 - for its effect
) -> None:
    """Make the provider's environment as well, where there is npm."""
    environments.provider_packages()


@pytest.fixture(scope="session")
def http_servers(
    installed: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """Run the servers that speak HTTP; the URLs by name."""
    folder = tmp_path_factory.mktemp("servers")
    urls: dict[str, str] = {}
    with ExitStack() as stack:
        for case in CASES:
            if case.http is not None:
                port = free_port()
                stack.enter_context(case.start(port, folder))
                urls[case.name] = f"http://127.0.0.1:{port}{case.path}"
        yield urls


@pytest.fixture(scope="session")
def tunnel(
    http_servers: dict[str, str],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Tunnel]:
    """Run a relay and an agent with all servers; at the end both must stop cleanly."""
    folder = tmp_path_factory.mktemp("tunnel")
    entries = [case.entry(http_servers) for case in (*CASES, FRAGILE)]
    with Tunnel(folder, entries) as running:
        request.session.stash[_TUNNEL] = running
        yield running


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest) -> Runs:
    return Runs(request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item,
) -> Generator[None, object, object]:
    """Remember how long the logs were before the test."""
    running = item.session.stash.get(_TUNNEL, None)
    item.stash[_LOG_SIZES] = running.log_sizes() if running else {}
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what relay and agent wrote during a test that failed."""
    report = yield
    running = item.session.stash.get(_TUNNEL, None)
    if report.failed and running is not None:
        report.sections.append(("relay and agent", running.logs(item.stash[_LOG_SIZES])))
    return report
