"""Relay and agent in folders of their own, and all that a test starts."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mcptunnel.auth.keys import Scope
from mcptunnel.cli.keyring import open_keyring
from tests.programs.network import Network
from tests.programs.process import CHECKOUT, Program

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
COMMAND = (sys.executable, "-c", "from mcptunnel.cli.main import main; main()")
_FOREGROUND = ("-n", "--pidfile=")
DEMO_SERVER = (sys.executable, "-m", "mcptunnel.testing.demo_server")


class Relay:
    """A relay's folder, and the process that runs in it now."""

    argv: Sequence[str] = (*TWISTD, *_FOREGROUND, "mcptunnel-relay", "--config", "relay.toml")

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
        program = Program("relay", self.argv, self.folder)
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


def servers_toml(
    servers: Mapping[str, Sequence[str] | str], settings: Mapping[str, str] | None = None
) -> str:
    """Return the sections of local servers; a text is a URL. JSON strings are TOML strings.

    `settings` are more lines of some of them.
    """
    lines: list[str] = []
    for name, server in servers.items():
        key = "url" if isinstance(server, str) else "command"
        value = server if isinstance(server, str) else list(server)
        lines += [f"[servers.{name}]", f"{key} = {json.dumps(value)}"]
        if key == "command":
            lines.append(f"env = {{ PYTHONPATH = {json.dumps(str(CHECKOUT))} }}")
        if settings is not None and name in settings:
            lines.append(settings[name])
    return "\n".join([*lines, ""])


class Agent:
    """An agent's folder, and the process that runs in it now."""

    argv: Sequence[str] = (*TWISTD, *_FOREGROUND, "mcptunnel-agent", "--config", "agent.toml")

    def __init__(
        self,
        folder: Path,
        relay: Relay,
        key: str | None,
        *,
        name: str = "laptop",
        servers: Mapping[str, Sequence[str] | str] | None = None,
        settings: Mapping[str, str] | None = None,
        extra: str = "",
        origin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        self._env = env
        folder.mkdir()
        if key is not None:
            key_file = folder / "agent.key"
            key_file.touch(mode=0o600)
            key_file.write_text(f"{key}\n")
            extra = f'key_file = "./agent.key"\n{extra}'
        (folder / "agent.toml").write_text(
            f'relay = "{origin or relay.origin}"\nname = "{name}"\nstate_dir = "./state"\n'
            f"{extra}\n"
            + servers_toml(servers if servers is not None else {"demo": DEMO_SERVER}, settings)
        )

    @property
    def program(self) -> Program:
        return self.programs[-1]

    def spawn(self) -> Program:
        """Start a process, and wait for nothing."""
        program = Program("agent", self.argv, self.folder, self._env)
        self.programs.append(program)
        return program

    def start(self) -> Self:
        """Start a process and wait until the relay took it in."""
        self.spawn().wait_for("connected to")
        return self


class Estate:
    """Everything that a test starts, stopped in good order at its end."""

    def __init__(self, folder: Path, free_ports: Callable[[int], list[int]]) -> None:
        self._folder = folder
        self._free_ports = free_ports
        self._count = 0
        self.relays: list[Relay] = []
        self.agents: list[Agent] = []
        self.others: list[Program] = []
        self.networks: list[Network] = []

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

    def agent(self, relay: Relay, key: str | None, **options: Any) -> Agent:
        """Prepare an agent; without a key it uses its user's sign-in."""
        agent = Agent(self.folder("agent"), relay, key, **options)
        self.agents.append(agent)
        return agent

    def network(self, relay: Relay, seed: int, **options: Any) -> Network:
        """Put a network in front of a relay; it is good until a test makes it bad."""
        network = Network(self.free_port(), relay.port, seed, **options).start()
        self.networks.append(network)
        return network

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
        for network in self.networks:
            network.close()
