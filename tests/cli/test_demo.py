"""`mcptunnel demo` as a person runs it: real programs, a real call, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mcptunnel.cli.demo_ports import free_port


def run_demo(*arguments: str, tmp_path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", "from mcptunnel.cli.main import main; main()", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "200"},
    )


def test_check_makes_a_call_and_ends(tmp_path: Path) -> None:
    demo = run_demo("--check", tmp_path=tmp_path)
    output, _ = demo.communicate(timeout=50)
    assert demo.returncode == 0, output
    assert "tools/list through the tunnel: 9 tools" in output
    assert "demo__add(a=19, b=23)" in output
    assert "42" in output
    assert list(tmp_path.iterdir()) == []


def test_it_stays_up_says_how_to_connect_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    demo = run_demo("--port", str(port), tmp_path=tmp_path)
    assert demo.stdout is not None
    shown = ""
    for line in demo.stdout:
        shown += line
        if "Ctrl-C" in line:
            break
    assert f"http://127.0.0.1:{port}/mcp" in shown
    assert "claude mcp add" in shown
    assert "mcpt_ak_" in shown
    second = run_demo("--port", str(port), tmp_path=tmp_path)
    output, _ = second.communicate(timeout=50)
    assert second.returncode == 1
    assert f"Port {port}" in output
    began_s = time.monotonic()
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=10)
    assert demo.returncode == 0, rest
    assert time.monotonic() - began_s < 3
    assert list(tmp_path.iterdir()) == []
