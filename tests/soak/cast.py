"""Everything that takes part in a soak, but the load: relay, network, local server, agents."""

import sys
from pathlib import Path

from mcptunnel.auth.keys import Scope
from mcptunnel.cli.keyring import open_keyring
from tests.programs.client import MODERN, Client, get
from tests.programs.network import Network
from tests.programs.process import Program, eventually
from tests.programs.programs import Estate, Relay, servers_toml
from tests.soak.exchanges import Place

DEVICES = 200
AGENT_PROCESSES = 4
DEVICES_OF_A_USER = 25
TUNNEL = """[tunnel]
resume_window_s = 60
closed_link_window_s = 10
ping_after_s = 3
dead_after_s = 6
"""
"""A link that falls silent has to be found out long before the load gives up."""

START_TIMEOUT_S = 60.0


class Cast:
    """The programs; `network` is between relay and agents, clients reach the relay directly."""

    def __init__(self, estate: Estate, devices: int, seed: int) -> None:
        self._estate = estate
        self._devices = [f"d{number:03}" for number in range(devices)]
        self.seed = seed
        self.relay: Relay = estate.relay(TUNNEL)
        self.network: Network
        self.agents: list[Program] = []
        self._keys: dict[str, str] = {}

    @property
    def watched(self) -> dict[str, Program]:
        """The programs whose memory has to stay flat."""
        numbered = {f"agents {number}": each for number, each in enumerate(self.agents, 1)}
        return {"relay": self.relay.program, **numbered}

    def start(self) -> None:
        """Start all, and wait until every device is there with its server."""
        origin_port = self._estate.free_port()
        origin = (sys.executable, "-m", "tests.soak.origin", str(origin_port))
        self._estate.program("origin", origin).wait_for("ready")
        users = sorted({self._user(number) for number in range(len(self._devices))})
        agent_keys = self._make_keys(users, Scope.AGENT)
        self._keys = self._make_keys(users, Scope.MCP)
        self.relay.start()
        self.network = self._estate.network(self.relay, self.seed)
        folders = [
            self._agent_folder(name, agent_keys[self._user(number)], origin_port)
            for number, name in enumerate(self._devices)
        ]
        for number in range(AGENT_PROCESSES):
            share = [str(folder) for folder in folders[number::AGENT_PROCESSES]]
            argv = (sys.executable, "-m", "tests.soak.agents", *share)
            folder = self._estate.folder("agents")
            folder.mkdir()
            self.agents.append(self._estate.program(f"agents {number + 1}", argv, folder=folder))
        eventually(self._all_connected, START_TIMEOUT_S, "all devices to be connected")

    def places(self) -> tuple[Place, ...]:
        """Return the server of each device, once the hub has its tool."""
        tools: dict[str, set[str]] = {}
        for user, key in self._keys.items():
            client = Client(self.relay.port, key, MODERN, timeout_s=START_TIMEOUT_S)
            wanted = sum(self._user(n) == user for n in range(len(self._devices)))

            def listed(client: Client = client, wanted: int = wanted) -> set[str]:
                names = {name for name in client.tools() if name.endswith("__echo")}
                return names if len(names) == wanted else set()

            tools[user] = eventually(listed, START_TIMEOUT_S, f"the tools of {user}")
        found = []
        for number, name in enumerate(self._devices):
            user = self._user(number)
            (tool,) = (
                one for one in tools[user] if one.startswith(f"{name}__") or len(tools[user]) == 1
            )
            found.append(Place(name, tool, self._keys[user]))
        return tuple(found)

    def stop(self) -> None:
        """Stop agents and relay as a person does; asserts that they end in time and say nothing bad."""
        for agents in self.agents:
            agents.stop()
        self._estate.close()

    def _make_keys(self, users: list[str], scope: Scope) -> dict[str, str]:
        with open_keyring(self.relay.state_dir) as keyring:
            made = {user: keyring.create(user=user, scope=scope, name="").text for user in users}
        self.relay.key_texts += made.values()
        return made

    def _agent_folder(self, name: str, key: str, origin_port: int) -> Path:
        folder = self._estate.folder(name)
        folder.mkdir()
        key_file = folder / "agent.key"
        key_file.touch(mode=0o600)
        key_file.write_text(f"{key}\n")
        (folder / "agent.toml").write_text(
            f'relay = "{self.network.origin}"\nname = "{name}"\nstate_dir = "./state"\n'
            f'key_file = "./agent.key"\n{TUNNEL}\n'
            + servers_toml({"origin": f"http://127.0.0.1:{origin_port}/"})
        )
        return folder

    @property
    def share_connected(self) -> float:
        """How many of the devices have a link now."""
        devices: int = get(self.relay.port, "/health")[1]["devices"]
        return devices / len(self._devices)

    def _all_connected(self) -> bool:
        for agents in self.agents:
            assert agents.is_running, agents.told()
        return self.share_connected == 1

    @staticmethod
    def _user(number: int) -> str:
        return f"user{number // DEVICES_OF_A_USER}"
