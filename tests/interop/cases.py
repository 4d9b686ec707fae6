"""The servers of the tests: how each runs, and what to ask it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop import environments
from tests.interop.drivers import Driver, Step, call, list_tools
from tests.interop.features import (
    Show,
    asking,
    changed,
    completed,
    got,
    listed,
    logged,
    prompt_ref,
    read,
    subscribed,
)
from tests.interop.processes import Process, is_open, wait_until
from tests.interop.tunnel import PYTHONPATH, ServerEntry

START_TIMEOUT_S = 30.0
LARGE_CHARACTERS = 1_000_000
STEPS, INTERVAL_S = 4, 0.15

SDK_SERVER = Path(__file__).with_name("servers") / "sdk_server.py"
EVERYTHING = "@modelcontextprotocol/server-everything"


@dataclass(frozen=True, slots=True)
class ServerCase:
    """One local server of the agent, stdio if `http` is None.

    `command` starts it over stdio, `http` on the port it is given, where it is at `path`. `text` must be
    in the answer to `simple`. A case without `progress` or `large` has no tool for that; a `progress` that
    is over soon is called `progress_calls` times, of which the best counts. `shows` is what it has beside.
    `asking` are tools that it offers only to those whom it can ask something, as the agent; `tasks`
    those that must be called as tasks, which the agent hides; `passing` those that come and go.
    """

    name: str
    simple: Step
    text: str
    command: Callable[[], list[str]] | None = None
    http: Callable[[int], tuple[list[str], Mapping[str, str]]] | None = None
    progress: Step | None = None
    progress_calls: int = 1
    large: Step | None = None
    counts_cancelled: bool = False
    asking: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    passing: frozenset[str] = frozenset()
    shows: tuple[Show, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = "/mcp"

    @property
    def is_direct(self) -> bool:
        """Whether the clients can reach it without us: over HTTP, and not that of 2024-11-05."""
        return self.http is not None and self.path != "/sse"

    @property
    def features(self) -> frozenset[str]:
        """The names of all that it can show."""
        found = {"tools", "call", *(show.feature for show in self.shows)}
        found |= {"progress"} if self.progress is not None else set()
        found |= {"large"} if self.large is not None else set()
        return frozenset(found | ({"cancel"} if self.counts_cancelled else set()))

    def steps(self, driver: Driver) -> dict[str, tuple[Step, ...]]:
        """Return the steps of one run by feature, in their order; those of no feature left out."""
        one: dict[str, Step | None] = {
            "tools": list_tools(),
            "call": self.simple,
            "progress": self.progress,
            "large": self.large,
        }
        steps: dict[str, tuple[Step, ...]] = {
            feature: (step,) for feature, step in one.items() if step is not None
        }
        if self.progress is not None:
            steps["progress"] = (self.progress,) * self.progress_calls
        for show in self.shows:
            is_older = show.older and driver.era == "legacy"
            steps[show.feature] = show.older if is_older else show.steps
        return steps

    def entry(self, urls: Mapping[str, str]) -> ServerEntry:
        """Return its entry for the agent; `urls` are those of the running HTTP servers."""
        if self.command is None:
            return ServerEntry(self.name, url=urls[self.name])
        return ServerEntry(self.name, command=self.command(), env={**PYTHONPATH, **self.env})

    def start(self, port: int, folder: Path) -> Process:
        """Start the HTTP server and wait until it listens."""
        assert self.http is not None
        argv, env = self.http(port)
        process = Process(self.name, argv, log=folder / f"{self.name}.log", env=env)

        def listens() -> bool:
            process.check_running()
            return is_open(port)

        try:
            wait_until(listens, START_TIMEOUT_S, f"{self.name} to listen")
        except Exception:
            process.kill()
            raise
        return process


def everything(transport: str) -> list[str]:
    """Return the command of the official server that has everything, over a transport."""
    node = environments.node_packages()
    return [str(node.node), str(node.package_file(EVERYTHING, "dist/index.js")), transport]


def _reference_stdio() -> list[str]:
    run = "from mcp_everything_server.server import mcp; mcp.run(transport='stdio')"
    return [str(environments.python_mcp_2().python), "-c", run]


def _reference_http(port: int) -> tuple[list[str], Mapping[str, str]]:
    words = ["-m", "mcp_everything_server", "--port", str(port), "--log-level", "WARNING"]
    return [str(environments.python_mcp_2().python), *words], {}


def _sdk_server(port: int) -> tuple[list[str], Mapping[str, str]]:
    return [str(environments.python_mcp_2().python), str(SDK_SERVER), str(port)], {}


def _demo() -> list[str]:
    return [sys.executable, "-m", "mcptunnel.testing.demo_server", "--page-size", "3"]


def _node_server(package: str, *words: str) -> list[str]:
    node = environments.node_packages()
    file = node.package_file(f"@modelcontextprotocol/{package}", "dist/index.js")
    return [str(node.node), str(file), *words]


NOTES = environments.cache_path() / "notes"
MEMORY = NOTES / "memory.jsonl"


def _with_notes(command: list[str]) -> list[str]:
    """Make the folder with one note in a repository, and with a memory; return the command."""
    if not (NOTES / ".git").exists():
        NOTES.mkdir(parents=True, exist_ok=True)
        (NOTES / "note.txt").write_text("the cat sat on the mat\n")
        entity = {"type": "entity", "name": "Ada", "entityType": "person", "observations": []}
        MEMORY.write_text(json.dumps(entity) + "\n")
        about = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        names = {f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in about.items()}
        for words in (["init", "-q"], ["add", "note.txt"], ["commit", "-q", "-m", "A note"]):
            subprocess.run(["git", *words], cwd=NOTES, env={**os.environ, **names}, check=True)
    return command


_DOCUMENT = "demo://resource/static/document/features.md"
_DYNAMIC = "demo://resource/dynamic/text/{resourceId}"

_EVERYTHING: dict[str, Any] = {
    "asking": frozenset(
        {
            "get-roots-list",
            "trigger-elicitation-request",
            "trigger-sampling-request",
            "trigger-url-elicitation",
        }
    ),
    "tasks": frozenset({"simulate-research-query"}),
    "simple": call("get-sum", a=2, b=40),
    "text": "42",
    "progress": call("trigger-long-running-operation", duration=STEPS * INTERVAL_S, steps=STEPS),
    "shows": (
        listed("prompts", "args-prompt"),
        listed("resources", _DOCUMENT),
        listed("templates", _DYNAMIC),
        got("args-prompt", "weather in Bern", city="Bern"),
        read(_DOCUMENT, "Everything Server"),
        read("demo://resource/dynamic/text/7", "Resource 7", template=_DYNAMIC),
        completed(prompt_ref("completable-prompt"), "name", "A", "Alice", department="Engineering"),
        asking("elicit", "Name: Ada", call("trigger-elicitation-request")),
        asking("sample", "Ada dreams", call("trigger-sampling-request", prompt="Sleep")),
        subscribed(
            _DOCUMENT,
            # It is a switch, and may have been left on.
            {**call("toggle-subscriber-updates"), "until_ok_s": 2, "until_text": "Started"},
            call("toggle-subscriber-updates"),
        ),
    ),
}
_REFERENCE: dict[str, Any] = {
    "simple": call("test_simple_text"),
    "text": "simple text",
    "progress": call("test_tool_with_progress"),
    "progress_calls": 3,
    "shows": (
        listed("prompts", "test_prompt_with_arguments"),
        listed("resources", "test://static-text"),
        listed("templates", "test://template/{id}/data"),
        got("test_prompt_with_arguments", "arg1='x'", arg1="x", arg2="y"),
        read("test://static-text", "content of the static text resource"),
        read("test://template/7/data", "Data for ID: 7", template="test://template/{id}/data"),
        asking("elicit", "elicitation accept", call("test_streaming_elicitation")),
        asking(
            "sample",
            "Ada dreams",
            call("test_input_required_result_sampling"),
            older=call("test_sampling", prompt="Sleep"),
        ),
        logged(call("test_logging_tool"), "test_logging_tool ran"),
    ),
}
_COUNTING: dict[str, Any] = {
    "progress": call("countdown", n=STEPS, interval=INTERVAL_S),
    "large": call("echo", size=LARGE_CHARACTERS),
    "counts_cancelled": True,
}
_SDK_SHOWS = (
    listed("resources", "sdk://board"),
    asking("roots", "home of Ada", call("roots")),
    subscribed("sdk://board", call("write")),
    changed("rearrange"),
)

CASES = (
    ServerCase(
        "time",
        call("get_current_time", timezone="UTC"),
        "UTC",
        command=lambda: [str(environments.python_mcp_2().python), "-m", "mcp_server_time"],
    ),
    ServerCase(
        "git",
        call("git_log", repo_path=str(NOTES)),
        "A note",
        command=lambda: _with_notes(
            [str(environments.python_mcp_2().python), "-m", "mcp_server_git"]
        ),
    ),
    ServerCase(
        "filesystem",
        call("list_directory", path=str(NOTES)),
        "note.txt",
        command=lambda: _with_notes(_node_server("server-filesystem", str(NOTES))),
    ),
    ServerCase(
        "memory",
        call("search_nodes", query="Ada"),
        "person",
        command=lambda: _with_notes(_node_server("server-memory")),
        env={"MEMORY_FILE_PATH": str(MEMORY)},
    ),
    ServerCase(
        "thinking",
        call(
            "sequentialthinking",
            thought="So",
            nextThoughtNeeded=False,
            thoughtNumber=1,
            totalThoughts=1,
        ),
        "thoughtNumber",
        command=lambda: _node_server("server-sequential-thinking"),
    ),
    ServerCase("everything", command=lambda: everything("stdio"), **_EVERYTHING),
    ServerCase(
        "everything-http",
        http=lambda port: (everything("streamableHttp"), {"PORT": str(port)}),
        **_EVERYTHING,
    ),
    ServerCase(
        "everything-sse",
        http=lambda port: (everything("sse"), {"PORT": str(port)}),
        path="/sse",
        **_EVERYTHING,
    ),
    ServerCase("reference", command=_reference_stdio, **_REFERENCE),
    ServerCase("reference-http", http=_reference_http, **_REFERENCE),
    ServerCase(
        "sdk",
        call("echo", size=3),
        "xxx",
        http=_sdk_server,
        passing=frozenset({"extra"}),
        shows=_SDK_SHOWS,
        **_COUNTING,
    ),
    ServerCase("demo", call("add", a=2, b=40), "42", command=_demo, **_COUNTING),
)

FRAGILE = ServerCase("fragile", call("add", a=2, b=40), "42", command=_demo)
"""The demo server once more, for the tests that make it crash."""
