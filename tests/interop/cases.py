"""The servers of the tests: how each runs, and what to ask it."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import environments
from tests.interop.drivers import Step, call
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

    `command` starts it over stdio, `http` on the port it is given. `text` must be in the answer to
    `simple`. A case without `progress` or `large` has no tool for that. `asking` are tools that it
    offers only to those whom it can ask something, as the agent and not the clients of these tests;
    `tasks` those that must be called as tasks, which the agent hides.
    """

    name: str
    simple: Step
    text: str
    command: Callable[[], list[str]] | None = None
    http: Callable[[int], tuple[list[str], Mapping[str, str]]] | None = None
    progress: Step | None = None
    large: Step | None = None
    counts_cancelled: bool = False
    asking: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    def entry(self, urls: Mapping[str, str]) -> ServerEntry:
        """Return its entry for the agent; `urls` are those of the running HTTP servers."""
        if self.command is None:
            return ServerEntry(self.name, url=urls[self.name])
        return ServerEntry(self.name, command=self.command(), env=PYTHONPATH)

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
}
_REFERENCE: dict[str, Any] = {
    "simple": call("test_simple_text"),
    "text": "simple text",
    "progress": call("test_tool_with_progress"),
}
_COUNTING: dict[str, Any] = {
    "progress": call("countdown", n=STEPS, interval=INTERVAL_S),
    "large": call("echo", size=LARGE_CHARACTERS),
    "counts_cancelled": True,
}

CASES = (
    ServerCase(
        "time",
        call("get_current_time", timezone="UTC"),
        "UTC",
        command=lambda: [str(environments.python_mcp_2().python), "-m", "mcp_server_time"],
    ),
    ServerCase("everything", command=lambda: everything("stdio"), **_EVERYTHING),
    ServerCase(
        "everything-http",
        http=lambda port: (everything("streamableHttp"), {"PORT": str(port)}),
        **_EVERYTHING,
    ),
    ServerCase("reference", command=_reference_stdio, **_REFERENCE),
    ServerCase("reference-http", http=_reference_http, **_REFERENCE),
    ServerCase("sdk", call("echo", size=3), "xxx", http=_sdk_server, **_COUNTING),
    ServerCase("demo", call("add", a=2, b=40), "42", command=_demo, **_COUNTING),
)

FRAGILE = ServerCase("fragile", call("add", a=2, b=40), "42", command=_demo)
"""The demo server once more, for the tests that make it crash."""
