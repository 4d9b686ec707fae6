"""What every test gets: two guards against things left behind, and free ports.

The guards see what pytest lets pass: errors that were only logged (a Deferred nobody listened to
among them), and timers, sockets and pipes that a test leaves in the reactor.
"""

import contextlib
import gc
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from tests import postgresql

# Ports above are handed out by the system to outgoing connections.
PORTS = range(20_000, 32_768)
SETTLING_TURNS = 20

# How long an example takes says how busy the machine is, and nothing about the product.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@implementer(ILogObserver)
class LoggedFailures:
    """The failures that were logged during a test; each has to be taken, or the test fails."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            self._failures.append(failure)

    def take(self, *kinds: type[BaseException]) -> list[Failure]:
        """Remove and return the failures of these kinds, oldest first; all of them without kinds."""
        gc.collect()  # a Deferred tells of its error when it dies
        gc.freeze()  # what lives on would be looked at again after each of thousands of tests
        taken = [one for one in self._failures if not kinds or isinstance(one.value, kinds)]
        self._failures = [one for one in self._failures if one not in taken]
        return taken


@pytest.fixture(scope="session", autouse=True)
def _quick_collection() -> None:
    """Keep the first collections from looking at every imported module, too."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[LoggedFailures]:
    """Fail a test whose failures were only logged. A test that expects one takes it."""
    failures = LoggedFailures()
    globalLogPublisher.addObserver(failures)
    yield failures
    left = failures.take()
    globalLogPublisher.removeObserver(failures)
    if left:
        told = "\n".join(failure.getTraceback() for failure in left)
        pytest.fail(f"Failures were logged, and nobody took them:\n{told}", pytrace=False)


@pytest.fixture(scope="session")
def running_reactor(request: pytest.FixtureRequest) -> Any:
    """The global reactor after its first turn, or None in a run without pytest-twisted.

    Without that turn the first test would be blamed for the reactor's own waker.
    """
    if not request.config.pluginmanager.hasplugin("twisted"):
        return None
    from twisted.internet import reactor  # noqa: PLC0415 - chosen by pytest-twisted

    _spin(reactor)
    return reactor


def _spin(reactor: Any) -> None:
    import pytest_twisted  # noqa: PLC0415 - absent in a run without it
    from twisted.internet.task import deferLater  # noqa: PLC0415

    pytest_twisted.blockon(deferLater(reactor, 0))


def _inhabitants(reactor: Any) -> set[Any]:
    return {*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()}


@pytest.fixture(autouse=True)
def _clean_reactor(running_reactor: Any) -> Iterator[None]:
    """Fail a test that leaves timers, sockets or pipes in the reactor."""
    if running_reactor is None:
        yield
        return
    before = _inhabitants(running_reactor)
    yield
    for _ in range(SETTLING_TURNS):  # a closed socket leaves the reactor in a later turn
        if not _inhabitants(running_reactor) - before:
            return
        _spin(running_reactor)
    left = _inhabitants(running_reactor) - before
    for call in left & {*running_reactor.getDelayedCalls()}:
        call.cancel()
    if left:
        told = "\n".join(f"  {one!r}" for one in left)
        pytest.fail(f"Left in the reactor:\n{told}", pytrace=False)


@pytest.fixture
def no_child_left() -> Iterator[None]:
    """Fail a test that leaves a process behind, running or not reaped; who was there before may stay."""
    before = _children()
    yield
    assert _children() <= before


def _children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has ended meanwhile
            found.update((task / "children").read_text().split())
    return found


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Return a function that finds so many different free ports on the loopback, below 32768."""
    return _free_ports


@pytest.fixture
def free_port() -> int:
    """One free port on the loopback, below 32768."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    chooser = random.SystemRandom()
    held: list[socket.socket] = []  # until all are found, so that none is found twice
    try:
        while len(held) < count:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            try:
                one.bind(("127.0.0.1", chooser.choice(PORTS)))
            except OSError:
                one.close()
            else:
                held.append(one)
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run without PostgreSQL; see `tests.postgresql`."""
    left_out = postgresql.left_out(items)
    config.stash[_LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was left out."""
    if count := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.section("PostgreSQL is not installed", yellow=True)
        terminalreporter.line(f"{count} tests on it were left out. Debian: apt install postgresql")


@pytest.fixture(scope="session")
def postgresql_url(free_ports: Callable[[int], list[int]]) -> Iterator[str]:
    """The URL of a database on a server of the tests' own."""
    programs = postgresql.programs()
    if programs is None:
        pytest.fail("PostgreSQL is not installed, and CI=true wants the tests on it")
    with postgresql.running(programs, free_ports(1)[0]) as url:
        yield url


@implementer(ILogObserver)
class Log:
    """The lines that were logged during a test."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._levels: list[LogLevel | None] = []

    def __call__(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))
        self._levels.append(event.get("log_level"))

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def levels(self, text: str) -> list[LogLevel | None]:
        """Return the levels of the lines with this text."""
        found = zip(self.lines, self._levels, strict=True)
        return [level for line, level in found if text in line]

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@pytest.fixture
def log() -> Iterator[Log]:
    observer = Log()
    globalLogPublisher.addObserver(observer)
    yield observer
    globalLogPublisher.removeObserver(observer)
