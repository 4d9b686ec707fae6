"""The command before it is there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

START = (sys.executable, "-c", "from mcptunnel.cli.start import run; run()")
CHECKOUT = Path(__file__).parents[2]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **extra}


def test_it_runs_the_command() -> None:
    done = subprocess.run(
        [*START, "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mcptunnel, version ")


def test_ctrl_c_while_it_is_imported_ends_it_silently(tmp_path: Path) -> None:
    """Here Click takes for ever."""
    loading = tmp_path / "loading"
    (tmp_path / "click.py").write_text(
        f"import pathlib, time; pathlib.Path({str(loading)!r}).touch(); time.sleep(60)"
    )
    process = subprocess.Popen(
        [*START, "--version"],
        env=environment(PYTHONPATH=f"{tmp_path}:{CHECKOUT}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline_s = time.monotonic() + 20
    while not loading.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (-signal.SIGINT, "")


def test_ctrl_c_is_the_commands_own_later() -> None:
    """As it was before: Click says that it was aborted."""
    code = """
import signal
from mcptunnel.cli import main, start
main.main = lambda: print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
start.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
