"""`mcptunnel demo` as a person runs it: real programs, a real call, and nothing left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcptunnel.cli.demo_ports import free_port
from tests.programs.visitor import Visitor

CHECKOUT = Path(__file__).parents[2]
FORM = re.compile(r'^ +(\{"(?:mcpS|s)ervers".*?\}{4})', re.MULTILINE | re.DOTALL)


class Demo:
    """A demo whose temporary directory is `folder`: that tells its processes from all others."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.shown = ""
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from mcptunnel.cli.start import run; run()",
                "demo",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "TMPDIR": str(folder),
                "COLUMNS": "200",
                "PYTHONPATH": str(CHECKOUT),
            },
            start_new_session=True,
        )

    def read_until(self, text: str) -> str:
        """Return what it shows, up to the line with a text."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.shown += line
            if text in line:
                return self.shown
        raise AssertionError(f"{text!r} is not in:\n{self.shown}")

    def end(self) -> str:
        """Wait for its end; assert that it was a good one, and left no file and no process."""
        rest, _ = self.process.communicate(timeout=50)
        self.shown += rest
        assert self.process.returncode == 0, self.shown
        assert list(self.folder.iterdir()) == []
        deadline_s = time.monotonic() + 1
        while (left := self.processes()) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not left
        return self.shown

    def processes(self) -> dict[int, str]:
        """Return the command lines of all its processes."""
        mark = f"TMPDIR={self.folder}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it is gone by now, or somebody else's
        return found

    def clean_up(self) -> None:
        """End whatever a failed test left."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Give the list of demos that are cleaned up in the end."""
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.clean_up()


def start(demos: list[Demo], folder: Path, *arguments: str) -> Demo:
    folder.mkdir(exist_ok=True)
    demos.append(Demo(folder, *arguments))
    return demos[-1]


def test_check_makes_a_call_and_ends(demos: list[Demo], tmp_path: Path) -> None:
    shown = start(demos, tmp_path, "--check").end()
    assert "tools/list through the tunnel: 9 tools" in shown
    assert "demo__add(a=19, b=23)" in shown
    assert "42" in shown
    assert "/setup?token=mcpt_su_" in shown


@pytest.mark.parametrize("moment", ["Making keys", "Starting a relay", "Starting an agent"])
def test_ctrl_c_during_the_start(demos: list[Demo], tmp_path: Path, moment: str) -> None:
    demo = start(demos, tmp_path, "--port", str(free_port()))
    demo.read_until(moment)
    os.killpg(demo.process.pid, signal.SIGINT)
    assert "Traceback" not in demo.end()


def test_it_stays_up_says_how_to_connect_and_ends_with_ctrl_c(
    demos: list[Demo], tmp_path: Path
) -> None:
    port = free_port()
    demo = start(demos, tmp_path / "first", "--port", str(port))
    shown = demo.read_until("Ctrl-C")
    check_what_is_told(shown, f"http://127.0.0.1:{port}/mcp")
    second = start(demos, tmp_path / "second", "--port", str(port))
    output, _ = second.process.communicate(timeout=50)
    assert second.process.returncode == 1
    assert f"Port {port}" in output
    programs = " ".join(demo.processes().values())
    for name in ("mcptunnel-relay", "mcptunnel-agent", "demo_server"):
        assert name in programs
    began_s = time.monotonic()
    os.killpg(demo.process.pid, signal.SIGINT)
    demo.end()
    assert time.monotonic() - began_s < 3


def check_what_is_told(shown: str, url: str) -> None:
    """Each application's form is one that it takes; the line with curl works."""
    found = re.search(r"Key +(mcpt_ak_\S+)", shown)
    assert found is not None
    headers = {"Authorization": f"Bearer {found[1]}"}
    assert f"claude mcp add --transport http demo {url} " in shown
    assert f"claude mcp add --transport http demo {url}\n" in shown
    check_the_first_user(shown)
    cursor, vs_code = (json.loads(text) for text in re.findall(FORM, shown))
    assert cursor == {"mcpServers": {"demo": {"url": url, "headers": headers}}}
    assert vs_code == {"servers": {"demo": {"type": "http", "url": url, "headers": headers}}}
    (codex,) = re.findall(r"^ +(mcp_servers\..*)$", shown, re.MULTILINE)
    assert tomllib.loads(codex)["mcp_servers"]["demo"]["url"] == url
    assert f"MCPTUNNEL_CLIENT_KEY={found[1]}" in shown
    if shutil.which("curl") is None:
        return  # the product does not need it
    command = shown.partition("  curl  ")[2].partition("\n\n")[0]
    done = subprocess.run(
        ["sh", "-c", f"{command} -s"], capture_output=True, text=True, timeout=20, check=True
    )
    assert json.loads(done.stdout)["result"]["structuredContent"] == {"sum": 42}, done.stdout


def check_the_first_user(shown: str) -> None:
    """The printed link signs the first user in, who is the one whose device is there."""
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+/setup\?token=\w+", shown)
    port = int(link.partition("/setup")[0].rpartition(":")[2])
    visitor = Visitor(port)
    assert visitor.join(link, "anybody", "correct horse battery").status == 303
    assert visitor.is_signed_in()
    assert Visitor(port).log_in("demo", "correct horse battery").status == 303
    assert Visitor(port).open(link.partition(str(port))[2]).status == 410
