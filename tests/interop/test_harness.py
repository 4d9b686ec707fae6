"""The tools of these tests keep their own promises: environments, ports, processes."""

import sys
from pathlib import Path

import pytest

from tests.interop import environments
from tests.interop.processes import (
    HIGHEST_PORT,
    LOWEST_PORT,
    Process,
    free_port,
    process_id,
    wait_until,
)
from tests.interop.tunnel import ServerEntry

LEAVES_A_CHILD = (
    "import subprocess, sys, time\n"
    "nap = 'import time; time.sleep(60)'\n"
    "child = subprocess.Popen([sys.executable, '-c', nap], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def test_an_interrupted_environment_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only what was finished, and as it is wanted now, is used again."""
    monkeypatch.setenv("MCPTUNNEL_TEST_CACHE", str(tmp_path))
    made: list[str] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append("once")
        if len(made) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.environment("x", ("a==1",), make)
    environments.environment("x", ("a==1",), make)
    environments.environment("x", ("a==1",), make)
    assert len(made) == 2
    environments.environment("x", ("a==2",), make)
    assert len(made) == 3


def test_free_ports_are_out_of_the_way_of_outgoing_connections() -> None:
    assert LOWEST_PORT <= free_port() < HIGHEST_PORT < 32768


def test_a_child_left_behind_is_found_and_ended(tmp_path: Path) -> None:
    """A process that ends but leaves one in another session fails the check, and it is gone."""
    with Process("parent", [sys.executable, "-c", LEAVES_A_CHILD], log=tmp_path / "log") as parent:
        wait_until(lambda: parent.log.read_text().endswith("\n"), 10, "the child's number")
        child = process_id(int(parent.log.read_text()))
        assert child is not None
        with pytest.raises(AssertionError, match="left 1 processes behind"):
            parent.stop()
    wait_until(lambda: not child.is_running(), 5, "the child to be gone")


def test_a_program_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    with Process("early", [sys.executable, "-c", "exit('no good')"], log=tmp_path / "log") as early:

        def has_ended() -> bool:
            early.check_running()
            return False

        with pytest.raises(RuntimeError, match="no good"):
            wait_until(has_ended, 10, "it to end")


def test_a_server_entry_is_the_toml_of_the_manual() -> None:
    entry = ServerEntry("time", command=["python", "-m", "x"], env={"TZ": "UTC"})
    assert entry.toml() == (
        '[servers.time]\ncommand = ["python", "-m", "x"]\nenv = { TZ = "UTC" }\n'
    )
    assert ServerEntry("web", url="http://127.0.0.1:9/mcp").toml() == (
        '[servers.web]\nurl = "http://127.0.0.1:9/mcp"\n'
    )
