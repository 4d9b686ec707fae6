"""Relay and agent as a person runs them: started, waited for, watched, and stopped without a trace."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from mcptunnel.auth.keys import Scope
from mcptunnel.cli.keyring import open_keyring
from tests.interop.processes import ProcessId, descendants, process_id

CHECKOUT = Path(__file__).parents[2]
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
COMMAND = (sys.executable, "-c", "from mcptunnel.cli.main import main; main()")
DEMO_SERVER = (sys.executable, "-m", "mcptunnel.testing.demo_server")

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
POLL_S = 0.01

_T = TypeVar("_T")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment without what would configure the programs, and with this checkout."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MCPTUNNEL_")}
    return {**ours, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


def eventually(found: Callable[[], _T], timeout_s: float, what: str) -> _T:
    """Return the first true value of `found`; AssertionError names `what` when the time is over."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise AssertionError(f"Waited {timeout_s:g} s in vain for {what}.")
        time.sleep(POLL_S)


class Program:
    """A started process; a thread keeps what it writes, so that waiting for a line is no polling."""

    def __init__(
        self, name: str, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        self._text = ""
        self._written = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._add(line.decode(errors="replace"))
        with self._written:
            self._ended = True
            self._written.notify_all()

    def _add(self, line: str) -> None:
        with self._written:
            self._text += line
            self._written.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it wrote so far."""
        return self._text

    @property
    def rss_bytes(self) -> int:
        """The memory that it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def children(self) -> list[ProcessId]:
        """Return its descendants that run."""
        return [each for each in descendants(self.pid) if each.is_running()]

    def wait_for(self, pattern: str, *, start: int = 0, timeout_s: float = START_TIMEOUT_S) -> int:
        """Wait for a text (a regular expression) in the log, from a position on; return its end."""
        compiled = re.compile(pattern)
        with self._written:
            arrived = self._written.wait_for(
                lambda: compiled.search(self._text, start) or self._ended, timeout_s
            )
            match = compiled.search(self._text, start)
        if match is None:
            how = "ended without" if arrived else f"wrote in {timeout_s:g} s no"
            raise AssertionError(f"{self.name} {how} {pattern!r}.\n{self.told()}")
        return match.end()

    def exit_code(self, timeout_s: float) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} did not end in {timeout_s:g} s.\n{self.told()}"
            ) from None
        self._reader.join(timeout_s)
        return code

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self._process.kill()
        self.exit_code(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End it with SIGTERM, as a service is; assert that it goes in time and leaves nothing."""
        family = self.children()
        started_s = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.exit_code(STOP_TIMEOUT_S)
        assert code in (0, -signal.SIGTERM), f"exit code {code}\n{self.told()}"
        left_s = started_s + STOP_TIMEOUT_S - time.monotonic()
        gone = f"the end of the children of {self.name}"
        eventually(lambda: not any(each.is_running() for each in family), left_s, gone)
        assert "Traceback" not in self.log, self.told()
        self.check_no_sockets()

    def check_no_sockets(self) -> None:
        """Assert that no socket is left in its folder."""
        left = [path for path in self._folder.rglob("*") if path.is_socket()]
        assert not left, f"{self.name} left {left}"

    def clean_up(self, orphans: Sequence[ProcessId] = ()) -> None:
        """End what is left after a test, whatever its state; orphans are found by nobody else."""
        family = [*descendants(self.pid), *orphans]
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for each in family:
            if each.is_running():
                os.kill(each.pid, signal.SIGKILL)
        self._reader.join(STOP_TIMEOUT_S)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def told(self) -> str:
        """Return its log as a test's message shows it."""
        return f"--- {self.name} ---\n{self.log}"


def is_gone(process: ProcessId) -> bool:
    return not process.is_running()


def known(pid: int) -> ProcessId:
    """Return a running process by its number."""
    found = process_id(pid)
    assert found is not None
    return found


class Relay:
    """A relay's folder, and the process that runs in it now."""

    def __init__(self, folder: Path, port: int, extra: str = "") -> None:
        self.folder = folder
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.state_dir = folder / "state"
        self.key_texts: list[str] = []
        self.programs: list[Program] = []
        self.config = folder / "relay.toml"
        folder.mkdir()
        self.config.write_text(
            f'listen = "tcp:{port}:interface=127.0.0.1"\nstate_dir = "./state"\n{extra}'
        )

    @property
    def program(self) -> Program:
        return self.programs[-1]

    def start(self) -> Self:
        """Start it and wait until it listens: from then on every connection is answered."""
        words = ("-n", "--pidfile=", "mcptunnel-relay", "--config", "relay.toml")
        program = Program("relay", (*TWISTD, *words), self.folder)
        self.programs.append(program)
        program.wait_for("listening on")
        program.wait_for(r"control\.sock")
        return self

    def key(self, user: str, scope: str) -> str:
        """Make a key."""
        return self.key_and_id(user, scope)[0]

    def key_and_id(self, user: str, scope: str) -> tuple[str, str]:
        """Make a key; return its text and its id."""
        with open_keyring(self.state_dir) as keyring:
            issued = keyring.create(user=user, scope=Scope(scope), name="")
        self.key_texts.append(issued.text)
        return issued.text, issued.record.id

    def revoke(self, key_id: str) -> None:
        """Revoke a key; when this returns the relay has done so."""
        with open_keyring(self.state_dir) as keyring:
            assert keyring.revoke(key_id)

    def check_secrets(self, logs: Sequence[str] = ()) -> None:
        """Assert that no key's text is in any file of the relay, in its logs or in others."""
        assert self.key_texts
        secrets = [text.rpartition("_")[2] for text in self.key_texts]
        files = [path.read_bytes() for path in self.state_dir.rglob("*") if path.is_file()]
        logs = [*logs, *(program.log for program in self.programs)]
        for place in (*files, *(log.encode() for log in logs)):
            assert not [secret for secret in secrets if secret.encode() in place]


def servers_toml(servers: Mapping[str, Sequence[str] | str]) -> str:
    """Return the sections of local servers; a text is a URL. JSON strings are TOML strings."""
    lines: list[str] = []
    for name, server in servers.items():
        key = "url" if isinstance(server, str) else "command"
        value = server if isinstance(server, str) else list(server)
        lines += [f"[servers.{name}]", f"{key} = {json.dumps(value)}"]
        if key == "command":
            lines.append(f"env = {{ PYTHONPATH = {json.dumps(str(CHECKOUT))} }}")
    return "\n".join([*lines, ""])


class Agent:
    """An agent's folder, and the process that runs in it now."""

    def __init__(
        self,
        folder: Path,
        relay: Relay,
        key: str,
        *,
        name: str = "laptop",
        servers: Mapping[str, Sequence[str] | str] | None = None,
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        folder.mkdir()
        key_file = folder / "agent.key"
        key_file.touch(mode=0o600)
        key_file.write_text(f"{key}\n")
        (folder / "agent.toml").write_text(
            f'relay = "{relay.origin}"\nname = "{name}"\nstate_dir = "./state"\n'
            f'key_file = "./agent.key"\n{extra}\n'
            + servers_toml(servers if servers is not None else {"demo": DEMO_SERVER})
        )

    @property
    def program(self) -> Program:
        return self.programs[-1]

    def spawn(self) -> Program:
        """Start a process, and wait for nothing."""
        words = ("-n", "--pidfile=", "mcptunnel-agent", "--config", "agent.toml")
        program = Program("agent", (*TWISTD, *words), self.folder)
        self.programs.append(program)
        return program

    def start(self) -> Self:
        """Start a process and wait until the relay took it in."""
        self.spawn().wait_for("connected to")
        return self


def finished(
    argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        argv,
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )


class Estate:
    """Everything that a test starts, stopped in good order at its end."""

    def __init__(self, folder: Path, free_ports: Callable[[int], list[int]]) -> None:
        self._folder = folder
        self._free_ports = free_ports
        self._count = 0
        self.relays: list[Relay] = []
        self.agents: list[Agent] = []
        self.others: list[Program] = []

    def folder(self, name: str) -> Path:
        """Return a path of its own for a folder that is yet to be made."""
        self._count += 1
        return self._folder / f"{name}{self._count}"

    def free_port(self) -> int:
        return self._free_ports(1)[0]

    def relay(self, extra: str = "") -> Relay:
        """Prepare a relay."""
        relay = Relay(self.folder("relay"), self.free_port(), extra)
        self.relays.append(relay)
        return relay

    def agent(self, relay: Relay, key: str, **options: Any) -> Agent:
        """Prepare an agent."""
        agent = Agent(self.folder("agent"), relay, key, **options)
        self.agents.append(agent)
        return agent

    def program(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Program:
        """Start another program; it is only killed at the end."""
        program = Program(name, argv, folder or self._folder, env)
        self.others.append(program)
        return program

    def _programs(self) -> Iterator[Program]:
        for agent in self.agents:
            yield from agent.programs
        for relay in self.relays:
            yield from relay.programs

    def told(self) -> str:
        """Return all logs."""
        return "\n".join(program.told() for program in (*self._programs(), *self.others))

    def close(self) -> None:
        """Stop what runs, agents first; assert what `Program.stop` does, and that no key leaked."""
        for program in self._programs():
            if program.is_running:
                program.stop()
        logs = [program.log for program in self._programs()]
        for relay in self.relays:
            if relay.programs and relay.key_texts:
                relay.check_secrets(logs)

    def clean_up(self) -> None:
        """End whatever is left, even after a failure."""
        for program in (*self._programs(), *self.others):
            program.clean_up()
