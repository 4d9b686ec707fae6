"""The harness itself: what a program must not do is noticed."""

import sys
from pathlib import Path

import pytest

from tests.programs.process import Program, eventually, is_gone, known
from tests.programs.programs import Estate, Relay

READY = "print('ready', flush=True);"


BIND = "socket;socket.socket(socket.AF_UNIX).bind('x.sock')"


def program(folder: Path, code: str) -> Program:
    """Start a small program and wait until it is ready."""
    started = Program("small", (sys.executable, "-c", code), folder)
    started.wait_for("ready")
    return started


def test_a_program_that_goes_is_fine(tmp_path: Path) -> None:
    program(tmp_path, f"import time;{READY}time.sleep(60)").stop()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (f"import signal,time;signal.signal(15,lambda *_:None);{READY}time.sleep(60)", "not end"),
        (f"import subprocess as s,time;s.Popen(['sleep','60']);{READY}time.sleep(60)", "children"),
        (f"import time,{BIND};{READY}time.sleep(60)", "x.sock"),
        (f"import time;print('Traceback');{READY}time.sleep(60)", "Traceback"),
        (
            f"import signal,sys,time;signal.signal(15,lambda *_:sys.exit(3));{READY}time.sleep(60)",
            "exit code 3",
        ),
    ],
    ids=["stays", "leaves a child", "leaves a socket", "fails inside", "fails at the end"],
)
def test_a_program_that_goes_badly_is_told(
    tmp_path: Path, code: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.programs.process.STOP_TIMEOUT_S", 0.3)
    started = program(tmp_path, code)
    family = [known(started.pid), *started.children()]
    try:
        with pytest.raises(AssertionError, match=told):
            started.stop()
    finally:
        started.clean_up(family)
    eventually(lambda: all(map(is_gone, family)), 1, "the end of all")


def test_a_program_that_ends_early_shows_why(tmp_path: Path) -> None:
    started = Program("small", (sys.executable, "-c", "raise SystemExit('oh dear')"), tmp_path)
    with pytest.raises(AssertionError, match="oh dear"):
        started.wait_for("ready")
    assert started.exit_code(1) == 1


def test_a_key_that_was_written_down_is_noticed(estate: Estate) -> None:
    """In a file below state_dir."""
    relay: Relay = estate.relay()
    key = relay.key("alice", "mcp")
    relay.check_secrets()
    leak = relay.state_dir / "leak"
    leak.write_text(f"someone's key is {key}")
    with pytest.raises(AssertionError):
        relay.check_secrets()
    leak.unlink()
