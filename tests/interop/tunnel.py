"""A relay and an agent as `twistd` processes on loopback, with the servers a test gives."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.interop.environments import ROOT
from tests.interop.processes import Process, free_port, wait_until

START_TIMEOUT_S = 60.0
CLEAN_EXITS = (0, -15)
"""twistd ends itself by the signal that stopped it."""

MODERN = "2026-07-28"
WRAPPED = "mcptunnel+"
OWN_TOOLS = ("status", "restart")
PYTHONPATH = {"PYTHONPATH": str(ROOT)}


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A local server of the agent: a command, or the URL of one that runs already."""

    name: str
    command: Sequence[str] = ()
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None

    @property
    def listed_prefix(self) -> str:
        """What the hub puts before its tools' names."""
        return f"{self.name}__" if self.prefix is None else self.prefix

    def toml(self) -> str:
        """Return the section of the agent's configuration. JSON strings are TOML strings."""
        lines = [f"[servers.{self.name}]"]
        if self.prefix is not None:
            lines.append(f"prefix = {json.dumps(self.prefix)}")
        if self.url:
            return "\n".join([*lines, f"url = {json.dumps(self.url)}", ""])
        lines.append(f"command = {json.dumps([str(word) for word in self.command])}")
        if self.env:
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in self.env.items())
            lines.append(f"env = {{ {pairs} }}")
        return "\n".join([*lines, ""])


class Tunnel:
    """A running tunnel; a context manager. `url` is the hub's, `token` opens it.

    `tunnel_options` are lines of the section `[tunnel]`, for both sides; `auth` are those of `[auth]`.
    """

    def __init__(
        self,
        folder: Path,
        servers: Sequence[ServerEntry],
        *,
        relay_extra: str = "",
        wait_for_tools: bool = True,
        tunnel_options: Sequence[str] = (),
        auth: Sequence[str] = ('mode = "keys"',),
        port: int | None = None,
    ) -> None:
        self.servers = tuple(servers)
        self.origin = f"http://127.0.0.1:{port or free_port()}"
        self.url = f"{self.origin}/mcp"
        self.token = ""
        self.agent_key = ""
        self._folder = folder
        self._relay_extra = relay_extra
        self._wait_for_tools = wait_for_tools
        self._auth = auth
        self._tunnel_section = ("[tunnel]", *tunnel_options) if tunnel_options else ()
        self._processes: dict[str, Process] = {}
        self._stack = ExitStack()

    @property
    def relay(self) -> Process:
        return self._processes["relay"]

    @property
    def agent(self) -> Process:
        return self._processes["agent"]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._start(stack)
            except Exception as error:
                raise RuntimeError(f"The tunnel did not start: {error}\n{self.logs()}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        with self._stack:  # whatever happens here, nothing stays
            if exc_type is None:
                for name in ("agent", "relay"):
                    code = self._processes[name].stop()
                    if code not in CLEAN_EXITS:
                        raise AssertionError(f"{name} ended with {code}.\n{self.logs()}")

    def logs(self, since: Mapping[str, int] | None = None) -> str:
        """Return what both processes wrote, from the positions of `log_sizes` on."""
        since = since or {}
        return "\n".join(
            f"--- {name} ---\n{process.log_text(since.get(name, 0))}"
            for name, process in self._processes.items()
        )

    def log_sizes(self) -> dict[str, int]:
        """Return how much each process has written."""
        return {name: process.log.stat().st_size for name, process in self._processes.items()}

    def get(self, path: str) -> tuple[int, bytes]:
        """GET a path of the relay without a token; return status and body."""
        with urllib.request.urlopen(f"{self.origin}{path}", timeout=10) as response:
            return response.status, response.read()

    def _start(self, stack: ExitStack) -> None:
        self._write_configuration()
        self.token = self._make_key("mcp")
        self.agent_key = self._make_key("agent")
        key_file = self._folder / "agent.key"
        key_file.touch(mode=0o600)
        key_file.write_text(self.agent_key)
        for name in ("relay", "agent"):
            self._processes[name] = stack.enter_context(self._twistd(name))
        wait_until(self._is_connected, START_TIMEOUT_S, "/health to say that the tunnel is up")
        if self._wait_for_tools:
            wait_until(
                self._has_all_tools, START_TIMEOUT_S, "the tools of all servers to be listed"
            )

    def _write_configuration(self) -> None:
        port = self.origin.rpartition(":")[2]
        relay = [
            f'listen = "tcp:{port}:interface=127.0.0.1"',
            f'public_url = "{self.origin}"',
            'state_dir = "./relay-state"',
            self._relay_extra,
            "[auth]",
            *self._auth,
            *self._tunnel_section,
        ]
        agent = [
            f'relay = "{self.origin}"',
            'name = "laptop"',
            'key_file = "./agent.key"',
            'state_dir = "./agent-state"',
            *self._tunnel_section,
            *(server.toml() for server in self.servers),
        ]
        (self._folder / "relay.toml").write_text("\n".join([*relay, ""]))
        (self._folder / "agent.toml").write_text("\n".join([*agent, ""]))

    @property
    def state_dir(self) -> Path:
        """Where the relay keeps its data."""
        return self._folder / "relay-state"

    def _make_key(self, scope: str) -> str:
        words = ("keys", "create", "--config", "relay.toml", "--user", "alice", "--scope", scope)
        done = subprocess.run(
            [sys.executable, "-c", "from mcptunnel.cli.main import main; main()", *words],
            cwd=self._folder,
            env={**os.environ, **PYTHONPATH},
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode or len(done.stdout.split()) != 1:
            raise RuntimeError(f"keys create ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def _twistd(self, name: str) -> Process:
        options = ("-n", "--pidfile=", f"mcptunnel-{name}", "--config", f"{name}.toml")
        argv = [_twistd_program(), *options]
        log = self._folder / f"{name}.log"
        return Process(name, argv, log=log, cwd=self._folder, env=PYTHONPATH)

    def _is_connected(self) -> bool:
        for process in self._processes.values():
            process.check_running()
        try:
            _, body = self.get("/health")
        except OSError:
            return False
        return bool(json.loads(body).get("tunnel") == "connected")

    def _has_all_tools(self) -> bool:
        names = [tool["name"] for tool in self.list_tools()]
        return all(any(self._is_of(server, name) for name in names) for server in self.servers)

    @staticmethod
    def _is_of(server: ServerEntry, tool: str) -> bool:
        return tool.startswith(server.listed_prefix) and tool not in OWN_TOOLS

    def list_tools(self) -> list[dict[str, Any]]:
        """Return all of the hub's tools, asked in the modern era without an SDK."""
        return self._list("tools/list", "tools")

    def uris(self, server: str) -> dict[str, str]:
        """Return what the hub calls those URIs and templates of a server that others have as well."""
        resources = self._list("resources/list", "resources")
        templates = self._list("resources/templates/list", "resourceTemplates")
        named = [item["uri"] for item in resources] + [item["uriTemplate"] for item in templates]
        wrapped = [uri for uri in named if uri.startswith(f"{WRAPPED}{server}:")]
        return {uri.split("/", 1)[1]: uri for uri in wrapped}

    def _list(self, method: str, member: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        params: dict[str, Any] = {}
        while True:
            page = modern_request(self.url, self.token, method, params).get("result")
            if page is None:
                return items
            items += page[member]
            if "nextCursor" not in page:
                return items
            params = {"cursor": page["nextCursor"]}


def modern_request(url: str, token: str, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """POST one stateless request; return the response message, sent as JSON or as an event."""
    about = "io.modelcontextprotocol/"
    meta = {f"{about}protocolVersion": MODERN, f"{about}clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(f"{method}: {error.code} {error.read()[:2000]!r}") from None
    if not text.startswith("{"):
        text = [line for line in text.splitlines() if line.startswith("data:")][-1][5:]
    message: dict[str, Any] = json.loads(text)
    return message


def _twistd_program() -> str:
    """Return the path of twistd in the environment that runs the tests."""
    beside = Path(sys.executable).with_name("twistd")
    found = str(beside) if beside.exists() else shutil.which("twistd")
    if found is None:
        raise RuntimeError(f"twistd is not installed beside {sys.executable}.")
    return found
