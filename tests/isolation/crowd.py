"""A relay, the agents of many users, and the clients of them all."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.isolation.client import LEGACY, MODERN, Client
from tests.programs.process import Program, eventually
from tests.programs.programs import Estate, Relay

USERS = 50
ASKING_USERS = 8
"""Those of them who have a server with a process for each client as well."""

PAGED_USERS = 2
"""Those of them whose lists have more than one page."""

MORE_TOOLS = 600
AGENT_PROGRAMS = 2
VERSIONS = (MODERN, LEGACY, MODERN, LEGACY)
"""What the clients of each user speak."""

START_TIMEOUT_S = 40.0
POLL_S = 0.5

HERE = Path(__file__).parent
OWNER_SERVER = (sys.executable, "-S", "-E", str(HERE / "owner_server.py"))


@dataclass(frozen=True, slots=True)
class Person:
    """A user: their clients of the hub, and of the transparent path of their HTTP server."""

    name: str
    clients: tuple[Client, ...]
    transparent: tuple[Client, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody, connected."""

    people: tuple[Person, ...]
    relay: Relay

    @property
    def clients(self) -> list[Client]:
        return [each for person in self.people for each in (*person.clients, *person.transparent)]

    def everyone(self, work: Callable[[Client], None], clients: Sequence[Client]) -> None:
        """Let clients work at once, each in a thread that begins when all are there."""
        begin = threading.Barrier(len(clients))

        def one(client: Client) -> None:
            begin.wait()
            work(client)

        with ThreadPoolExecutor(len(clients)) as pool:
            for done in [pool.submit(one, client) for client in clients]:
                done.result()


@contextmanager
def crowd(estate: Estate) -> Iterator[Crowd]:
    """Start everything; at the end what listens is ended."""
    relay = estate.relay().start()
    web_port = estate.free_port()
    web = estate.program(
        "web", (sys.executable, str(HERE / "owner_http.py"), str(web_port)), folder=HERE
    )
    web.wait_for("ready")
    names = [f"user-{number:02}" for number in range(USERS)]
    configs = [
        _agent_config(estate, relay, name, number, web_port) for number, name in enumerate(names)
    ]
    programs = [
        estate.program(
            f"agents{each}",
            (sys.executable, "-m", "tests.isolation.many_agents", *configs[each::AGENT_PROGRAMS]),
        )
        for each in range(AGENT_PROGRAMS)
    ]
    eventually(lambda: _connected(programs) == USERS, START_TIMEOUT_S, "all agents to connect")
    everybody = Crowd(tuple(_person(relay, name) for name in names), relay)
    try:
        everybody.everyone(_arrive, everybody.clients)
        yield everybody
    finally:
        for client in everybody.clients:
            client.close()


def _connected(programs: Sequence[Program]) -> int:
    return sum(program.log.count("connected to http") for program in programs)


def _agent_config(estate: Estate, relay: Relay, name: str, number: int, web_port: int) -> str:
    folder = estate.folder("a")
    folder.mkdir()
    key_file = folder / "agent.key"
    key_file.touch(mode=0o600)
    key_file.write_text(relay.key(name, "agent"))
    lines = [f'relay = "{relay.origin}"', 'name = "laptop"', 'state_dir = "./state"']
    lines += ['key_file = "./agent.key"', "[servers.own]"]
    lines += [f"command = {json.dumps([*OWNER_SERVER, name])}"]
    lines += ["[servers.web]", f'url = "http://127.0.0.1:{web_port}/{name}"']
    if number < ASKING_USERS:
        lines += ["[servers.mine]", f"command = {json.dumps([*OWNER_SERVER, name])}"]
        lines += ['isolation = "session"']
    if number < PAGED_USERS:
        command = [*OWNER_SERVER, name, str(MORE_TOOLS)]
        lines += ["[servers.paged]", f"command = {json.dumps(command)}"]
    config = folder / "agent.toml"
    config.write_text("\n".join([*lines, ""]))
    return str(config)


def _person(relay: Relay, name: str) -> Person:
    keys = [relay.key(name, "mcp") for _ in VERSIONS]
    hub = tuple(
        Client(relay.port, key, name, index, version)
        for index, (key, version) in enumerate(zip(keys, VERSIONS, strict=True))
    )
    transparent = tuple(
        Client(relay.port, keys[index], name, index, LEGACY, "/servers/web/mcp")
        for index, version in enumerate(VERSIONS)
        if version == LEGACY
    )
    return Person(name, hub, transparent)


def _arrive(client: Client) -> None:
    """Connect, wait until the servers are there, and listen: to one's own boards, and to a neighbour's."""
    client.connect()
    if client.session_id and client.path != "/mcp":
        return
    while not {"own__ask", "web__ask"} <= set(client.tools()):
        time.sleep(POLL_S)
    neighbour = f"user-{(int(client.user[-2:]) + 1) % USERS:02}"
    client.listen([*client.boards(), f"own://{neighbour}/board"])
