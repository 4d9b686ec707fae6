"""Names never break: whatever devices do, a name that was ever listed means what it meant first."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.testing.joined import Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer

DEVICES = ("one", "two", "three")
ITEMS = ("a", "b", "x__a", "status", "t" * 70)
SERVERS = ("x", "y")


def says(text: str) -> Any:
    return lambda _: text


class Fleet(RuleBasedStateMachine):
    """Devices that come, go, are renamed, change what they offer, and are forgotten; and the relay."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = Joined()
        self.agents: dict[str, MemoryAgent] = {}
        self.meanings: dict[tuple[Kind, str], str] = {}

    def offer(self, server: MemoryServer, place: str, items: tuple[str, ...]) -> None:
        """Offer tools and prompts that say where they are."""
        prompts = [{"name": item} for item in items]
        server.answers["prompts/get"] = lambda params: {
            "messages": [{"role": "user", "content": f"{place} {params['name']}"}]
        }
        server.offer_list("prompts/list", "prompts", *prompts)
        server.offer({item: says(f"{place} {item}") for item in items})
        self.joined.wait_s(INTERVAL_S)

    @rule(
        key=st.sampled_from(DEVICES),
        label=st.sampled_from(["laptop", "tower"]),
        prefix=st.sampled_from([None, "", "p"]),
    )
    def connect(self, key: str, label: str, prefix: str | None) -> None:
        if key in self.agents:
            return
        servers = [MemoryServer(name, prefix=prefix) for name in SERVERS]
        for server in servers:
            self.offer(server, f"{key} {server.status.name}", ITEMS[:2])
        self.agents[key] = self.joined.agent(*servers, name=label, installation_id=key)

    @precondition(lambda self: bool(self.agents))
    @rule(items=st.sets(st.sampled_from(ITEMS)), data=st.data())
    def change(self, items: set[str], data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.agents)))
        for server in self.agents[key].servers.values():
            assert isinstance(server, MemoryServer)
            self.offer(server, f"{key} {server.status.name}", tuple(sorted(items)))

    @precondition(lambda self: bool(self.agents))
    @rule(data=st.data(), forget=st.booleans())
    def leave(self, data: st.DataObject, forget: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.agents)))
        self.joined.lose(self.agents.pop(key))
        if forget:
            for devices in self.joined.devices._by_principal.values():
                devices.pop(key, None)
            for user in self.joined.devices._by_principal:
                self.joined.hub.changed(user)
            self.joined.settle()

    @rule()
    def restart_the_relay(self) -> None:
        names = self.joined.names
        for agent in self.agents.values():
            self.joined.lose(agent)
        self.agents.clear()
        self.joined = Joined()
        for (principal, table_kind), rows in names.items():
            self.joined.hub.tables.restore(principal, table_kind, rows.values())
            self.joined.names[principal, table_kind] = dict(rows)

    @invariant()
    def every_name_means_what_it_meant(self) -> None:
        client = self.joined.client()
        for name in client.tools():
            self.meanings.setdefault((Kind.TOOL, name), client.call(name).text)
        for name in client.listed(Kind.PROMPT):
            self.meanings.setdefault((Kind.PROMPT, name), self.got(name))
        for (kind, name), meant in self.meanings.items():
            said = client.call(name) if kind is Kind.TOOL else None
            failure = said and said.failure
            text = self.got(name) if said is None else "" if failure else said.text
            honest = ("offline", "no longer known", "Unknown", "no server", "not have")
            assert not text or text == meant or any(word in text for word in honest), (name, text)

    def got(self, name: str) -> str:
        answer = self.joined.client().request("prompts/get", {"name": name})
        if answer.failure is not None:
            return answer.failure.message
        said: str = answer.value["messages"][0]["content"]
        return said


Fleet.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestFleet = Fleet.TestCase
