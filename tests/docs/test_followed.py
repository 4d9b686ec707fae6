"""The tutorial and the README, followed to the letter; only ports and folders are others."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, Block, blocks
from tests.programs.process import STOP_TIMEOUT_S, Program, finished

READY = {"relay": r"control\.sock", "agent": "connected to"}
_SHIMS = {
    "python": "",
    "twistd": "-c 'from twisted.scripts.twistd import run; run()'",
    "mcptunnel": "-c 'from mcptunnel.cli.start import run; run()'",
}


class Reader:
    """A person in an empty folder, with the environment of the package active."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.running: dict[str, Program] = {}
        self._port = port
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name, words in _SHIMS.items():
            shim = bin_folder / name
            shim.write_text(
                f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(CHECKOUT))} "
                f'exec {shlex.quote(sys.executable)} {words} "$@"\n'
            )
            shim.chmod(0o755)
        self._env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "XDG_DATA_HOME": str(folder)}

    def write(self, block: Block) -> None:
        """Write the file that the line before the block, or its first line, names."""
        name = re.search(r"(\w+\.toml)", block.before + block.text)
        assert name is not None
        (self.folder / name[1]).write_text(self.own(block.text))

    def own(self, text: str) -> str:
        return text.replace("8787", str(self._port))

    def start(self, command: str) -> None:
        """Start a program that stays, and wait until it is ready."""
        found = re.search(r"mcptunnel-(\w+)", command)
        assert found is not None
        program = Program(found[1], shlex.split(command), self.folder, self._env)
        self.running[found[1]] = program
        program.wait_for(READY[found[1]])

    def run(self, command: str) -> str:
        """Run a command to its end, a good one, and return what it printed."""
        done = finished(["sh", "-c", self.own(command)], self.folder, self._env)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path, free_port: int) -> Iterator[Reader]:
    reader = Reader(tmp_path, free_port)
    yield reader
    for program in reversed(reader.running.values()):
        program.clean_up()


def console(block: Block, reader: Reader) -> Iterator[str]:
    """Do what a `console` block says; give what the commands print that end."""
    for command in block.commands():
        if command.startswith("twistd "):
            reader.start(command)
        elif command.endswith(" ID"):
            listed = reader.run("mcptunnel keys list --config relay.toml")
            key_id = listed.splitlines()[1].split("\t")[0]
            yield reader.run(f"{command.removesuffix('ID')}{key_id}")
        elif not command.startswith("claude "):
            yield reader.run(command)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial is followed with curl")
def test_the_tutorial(reader: Reader) -> None:
    answers: list[str] = []
    for block in blocks(CHECKOUT / "docs" / "tutorial" / "first-tunnel.md"):
        if block.heading == "Install":
            continue
        if block.language == "toml":
            reader.write(block)
        elif block.language == "sh":
            answers.append(reader.run(block.text))
        else:
            answers += console(block, reader)
    health, listed, called = (json.loads(text) for text in answers if text.startswith("{"))
    assert (health["status"], health["tunnel"]) == ("ok", "disconnected")
    names = [tool["name"] for tool in listed["result"]["tools"]]
    assert {"demo__add", "demo__clock", "demo__crash", "status", "restart"} <= set(names)
    assert called["result"]["structuredContent"] == {"sum": 5}
    # the key that was taken back was the agent's, the oldest
    reader.running["agent"].wait_for("The key of this agent was revoked")
    assert reader.running["agent"].exit_code(STOP_TIMEOUT_S) == 1


def test_the_readme_for_real(reader: Reader) -> None:
    """Its address is not ours to listen at: `--check-config` stands for the programs' start."""
    for block in blocks(CHECKOUT / "README.md"):
        if block.heading != "For real":
            continue
        if block.language == "toml":
            reader.write(block)
            continue
        for command in block.commands():
            shown = reader.run(f"{command} --check-config" if "twistd" in command else command)
            if "twistd" in command:
                assert "https://relay.example.org" in shown
