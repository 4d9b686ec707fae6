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
STDIO, HTTP, BULK = "echo-stdio", "echo-http", "echo-bulk"
TRANSPARENT = "tunnel, transparent"
START_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What is measured: the endpoints, and which processes work for each.

    `bulk_targets` give bodies of any size: directly, and on the transparent path.
    """

    targets: Sequence[Target]
    bulk_targets: Sequence[Target]
    pids: Mapping[str, Mapping[str, int]]
    relay_and_agent: Mapping[str, int]


@contextmanager
def running(
    folder: Path,
    era: Era,
    server_forms: Sequence[str],
    *,
    legacy_servers: bool,
    tunnel_options: Sequence[str] = (),
) -> Iterator[Stage]:
    """Start all, yield, stop all. Without server forms there is no tunnel, only the direct way."""
    legacy = ["--legacy"] if legacy_servers else []
    with (
        _http_server(folder, HTTP, legacy) as (http_server, url),
        _http_server(folder, BULK, legacy) as (bulk_server, bulk_url),
    ):
        shared = {"server": http_server.pid, "driver": os.getpid()}
        bulk = _with_session(Target(DIRECT, bulk_url, era))
        direct = Target(DIRECT, url, era, beside=bulk)
        if not server_forms:
            yield Stage([_with_session(direct)], [bulk], {DIRECT: shared}, {})
            return
        stdio_argv = [sys.executable, str(ECHO_SERVER), "--stdio", *legacy]
        entries = [ServerEntry(STDIO, command=stdio_argv)]
        entries += [ServerEntry(HTTP, url=url), ServerEntry(BULK, url=bulk_url)]
        with Tunnel(folder, entries, tunnel_options=tunnel_options) as tunnel:
            both = {"relay": tunnel.relay.pid, "agent": tunnel.agent.pid}
            passed_url = f"{tunnel.origin}/servers/{BULK}/mcp"
            passed = _with_session(Target(TRANSPARENT, passed_url, era, tunnel.token))
            targets = [direct]
            pids: dict[str, Mapping[str, int]] = {
                DIRECT: shared,
                TRANSPARENT: {**both, **shared, "server": bulk_server.pid},
            }
            for form in server_forms:
                name = f"tunnel, {form}"
                entry = STDIO if form == "stdio" else HTTP
                prefix = f"{entry}__"
                targets.append(Target(name, tunnel.url, era, tunnel.token, prefix, beside=passed))
                server = _stdio_child(tunnel.agent.pid) if form == "stdio" else http_server.pid
                pids[name] = {**both, **shared, "server": server}
            yield Stage([_with_session(each) for each in targets], [bulk, passed], pids, both)


@contextmanager
def _http_server(folder: Path, name: str, legacy: list[str]) -> Iterator[tuple[Process, str]]:
    """Run an echo server over HTTP; yield it and its URL."""
    port = free_port()
    argv = [sys.executable, str(ECHO_SERVER), "--http", str(port), *legacy]
    with Process(name, argv, log=folder / f"{name}.log") as process:
        wait_until(lambda: is_open(port), START_TIMEOUT_S, "the echo server to listen")
        yield process, f"http://127.0.0.1:{port}/mcp"


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
