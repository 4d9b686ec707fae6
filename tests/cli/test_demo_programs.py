"""The programs of the demo: what happens when one does not do as it should."""

import subprocess
import threading
from pathlib import Path

import pytest

from mcptunnel.cli import demo_programs
from mcptunnel.cli.demo_programs import Programs
from mcptunnel.errors import McpTunnelError


def test_a_program_that_ends_by_itself_is_told_and_its_log_shown(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("no_such_key = 1\n")
    with Programs(tmp_path, threading.Event()) as programs:
        programs.start("relay")
        with pytest.raises(McpTunnelError, match="The relay ended with status 1"):
            programs.wait_until(lambda: False, "the relay answers")
        assert "no_such_key" in programs.logs()


def test_what_does_not_come_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_programs, "START_TIMEOUT_S", 0.0)
    with (
        Programs(tmp_path, threading.Event()) as programs,
        pytest.raises(McpTunnelError, match="Not within 0 s: the relay answers"),
    ):
        programs.wait_until(lambda: False, "the relay answers")


def test_the_stop_ends_the_waiting(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with (
        Programs(tmp_path, stop) as programs,
        pytest.raises(McpTunnelError, match="Stopped"),
    ):
        programs.wait_until(lambda: False, "anything")


def test_a_program_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_programs, "STOP_TIMEOUT_S", 0.0)
    monkeypatch.setattr(
        demo_programs,
        "_TWISTD",
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "print('deaf', flush=True); signal.pause()",
    )
    with Programs(tmp_path, threading.Event()) as programs:
        programs.start("relay")
        programs.wait_until(lambda: "deaf" in programs.logs(), "it is deaf")
        process: subprocess.Popen[bytes] = programs._running["relay"]
    assert process.returncode == -9
