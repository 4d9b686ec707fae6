"""The guards of conftest.py, shown on a small test module of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import subprocess

from twisted.internet import defer, protocol
from twisted.logger import Logger


def test_leaves_a_timer(running_reactor):
    running_reactor.callLater(60, print)


def test_leaves_a_port(running_reactor):
    running_reactor.listenTCP(0, protocol.Factory(), interface="127.0.0.1")


def test_drops_an_error():
    defer.fail(ValueError("dropped")).itself = defer.Deferred()


def test_only_logs_an_error():
    try:
        raise ValueError("logged")
    except ValueError:
        Logger().failure("It went wrong")


def test_leaves_a_process(no_child_left):
    global left
    left = subprocess.Popen(["sleep", "0"])


def test_has_a_child_of_before(no_child_left):
    subprocess.run(["true"])


def test_takes_its_error(logged_failures):
    defer.fail(ValueError("dropped"))
    assert len(logged_failures.take(ValueError)) == 1


def test_is_clean(free_port):
    assert free_port < 32768
"""


def test_each_guard_blames_the_right_test(tmp_path: Path) -> None:
    """Five leaks of five kinds fail their own tests, and nobody else's."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-q", "-rE", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    blamed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("ERROR ")}
    assert blamed == {
        "test_cases.py::test_leaves_a_timer",
        "test_cases.py::test_leaves_a_port",
        "test_cases.py::test_drops_an_error",
        "test_cases.py::test_only_logs_an_error",
        "test_cases.py::test_leaves_a_process",
    }, done.stdout
    assert "8 passed, 5 errors" in done.stdout


ON_POSTGRESQL = """
import pytest


def test_on_it(postgresql_url):
    pass


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_on_either(database):
    pass
"""


@pytest.mark.parametrize(
    ("ci", "counts", "told"),
    [
        ("", "1 passed, 2 deselected", "2 tests on it were left out."),
        ("true", "1 error", "CI=true"),
    ],
)
def test_without_postgresql_it_is_said_what_was_not_run(
    tmp_path: Path, ci: str, counts: str, told: str
) -> None:
    """Where CI=true nothing is left out: it fails."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "hide.py").write_text(
        "from tests import postgresql\npostgresql.programs = lambda: None\n"
    )
    (tmp_path / "test_cases.py").write_text(ON_POSTGRESQL)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "hide", "-p", "no:cacheprovider", "."]
    checkout = str(Path(__file__).parents[1])
    env = {**os.environ, "CI": ci, "PYTHONPATH": f"{tmp_path}:{checkout}"}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert counts in done.stdout, done.stdout
    assert told in done.stdout, done.stdout
