"""Everything that runs: echo servers, relay and agent, each a real process."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.load import open_session, send_notification
from tests.benchmarks.requests import Era, Target
from tests.interop.processes import Process, descendants, free_port, is_open, wait_until
from tests.interop.tunnel import ServerEntry, Tunnel

ECHO_SERVER = Path(__file__).with_name("echo_server.py")
DIRECT = "direct"
STDIO, HTTP = "echo-stdio", "echo-http"
START_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What is measured: the endpoints, and which processes work for each."""

    targets: Sequence[Target]
    pids: Mapping[str, Mapping[str, int]]
    relay_and_agent: Mapping[str, int]


@contextmanager
def running(
    folder: Path, era: Era, server_forms: Sequence[str], *, legacy_servers: bool
) -> Iterator[Stage]:
    """Start all, yield, stop all. Without server forms there is no tunnel, only the direct way."""
    legacy = ["--legacy"] if legacy_servers else []
    port = free_port()
    http_argv = [sys.executable, str(ECHO_SERVER), "--http", str(port), *legacy]
    url = f"http://127.0.0.1:{port}/mcp"
    with Process("echo", http_argv, log=folder / "echo.log") as http_server:
        wait_until(lambda: is_open(port), START_TIMEOUT_S, "the echo server to listen")
        shared = {"server": http_server.pid, "driver": os.getpid()}
        direct = Target(DIRECT, url, era)
        if not server_forms:
            yield Stage([_with_session(direct)], {DIRECT: shared}, {})
            return
        stdio_argv = [sys.executable, str(ECHO_SERVER), "--stdio", *legacy]
        entries = [ServerEntry(STDIO, command=stdio_argv), ServerEntry(HTTP, url=url)]
        with Tunnel(folder, entries) as tunnel:
            both = {"relay": tunnel.relay.pid, "agent": tunnel.agent.pid}
            targets = [direct]
            pids: dict[str, Mapping[str, int]] = {DIRECT: shared}
            for form in server_forms:
                name = f"tunnel, {form}"
                entry = STDIO if form == "stdio" else HTTP
                targets.append(Target(name, tunnel.url, era, tunnel.token, f"{entry}__"))
                server = _stdio_child(tunnel.agent.pid) if form == "stdio" else http_server.pid
                pids[name] = {**both, **shared, "server": server}
            yield Stage([_with_session(target) for target in targets], pids, both)


def _stdio_child(agent_pid: int) -> int:
    for child in descendants(agent_pid):
        argv = Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")
        if str(ECHO_SERVER).encode() in argv and b"--stdio" in argv:
            return child.pid
    raise RuntimeError("The agent does not run the echo server.")


def _with_session(target: Target) -> Target:
    if target.era == "modern":
        return target
    opened = replace(target, session=open_session(target))
    send_notification(opened, "notifications/initialized")
    return opened
