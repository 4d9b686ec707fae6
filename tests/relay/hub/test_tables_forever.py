"""Names never break: whatever devices do, a name that was ever listed means what it meant first."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.bearers import BEARER
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.testing.joined import Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer

ITEMS = ("a", "b", "x__a", "status", "t" * 70)
SERVERS = ("x", "y")
HONEST = ("is offline", "is no longer known", "Unknown", "is not there", "no server")


def says(text: str) -> Any:
    return lambda _: text


class Fleet:
    """A user's devices, and what every name meant when it was listed for the first time."""

    def __init__(self) -> None:
        self.joined = Joined()
        self.agents: dict[str, MemoryAgent] = {}
        self.meanings: dict[tuple[Kind, str], str] = {}
        self.answered = 0

    def offer(self, server: MemoryServer, place: str, items: tuple[str, ...]) -> None:
        """Offer tools and prompts that say where they are."""
        prompts = [{"name": item} for item in items]
        server.answers["prompts/get"] = lambda params: {
            "messages": [{"role": "user", "content": f"{place} {params['name']}"}]
        }
        server.offer_list("prompts/list", "prompts", *prompts)
        server.offer({item: says(f"{place} {item}") for item in items})
        self.joined.wait_s(INTERVAL_S)

    def connect(self, key: str, label: str, prefix: str | None) -> None:
        self.leave(key, forget=False)
        servers = [MemoryServer(name, prefix=prefix) for name in SERVERS]
        for server in servers:
            self.offer(server, f"{key} {server.status.name}", ITEMS[:2])
        self.agents[key] = self.joined.agent(
            *servers, name=label, installation_id=f"installation-{key}"
        )

    def change(self, key: str, items: tuple[str, ...]) -> None:
        servers = self.agents[key].servers.values() if key in self.agents else ()
        for server in servers:
            assert isinstance(server, MemoryServer)
            self.offer(server, f"{key} {server.status.name}", items)

    def leave(self, key: str, *, forget: bool) -> None:
        agent = self.agents.pop(key, None)
        if agent is not None:
            self.joined.lose(agent)
        if forget:
            for user, devices in self.joined.devices._by_principal.items():
                devices.pop(f"installation-{key}", None)
                self.joined.hub.changed(user)
            self.joined.settle()

    def restart_the_relay(self) -> None:
        names = self.joined.names
        for key in tuple(self.agents):
            self.leave(key, forget=False)
        self.joined = Joined()
        for (principal, table_kind), rows in names.items():
            if table_kind == BEARER:
                self.joined.bearers.restore(principal, rows.values())
            else:
                self.joined.hub.tables.restore(principal, table_kind, rows.values())
            self.joined.names[principal, table_kind] = dict(rows)

    def check(self) -> None:
        client = self.joined.client()
        listed = [(Kind.TOOL, name, self.called(name)) for name in client.tools()]
        listed += [(Kind.PROMPT, name, self.got(name)) for name in client.listed(Kind.PROMPT)]
        for kind, name, said in listed:
            if not any(word in said for word in HONEST):  # a device that is away is still listed
                self.meanings.setdefault((kind, name), said)
        for (kind, name), meant in self.meanings.items():
            said = self.called(name) if kind is Kind.TOOL else self.got(name)
            self.answered += said == meant
            assert said == meant or any(word in said for word in HONEST), (name, meant, said)

    def called(self, name: str) -> str:
        answer = self.joined.client().call(name)
        return answer.text if answer.failure is None else answer.failure.message

    def got(self, name: str) -> str:
        answer = self.joined.client().request("prompts/get", {"name": name})
        if answer.failure is not None:
            return answer.failure.message
        said: str = answer.value["messages"][0]["content"]
        return said


devices = st.sampled_from(("one", "two", "three"))
actions = st.one_of(
    st.tuples(
        st.just("connect"),
        devices,
        st.sampled_from(["laptop", "tower"]),
        st.sampled_from([None, "", "p"]),
    ),
    st.tuples(st.just("change"), devices, st.sets(st.sampled_from(ITEMS)).map(sorted).map(tuple)),
    st.tuples(st.just("leave"), devices, st.booleans()),
    st.just(("restart",)),
)


@settings(max_examples=40)
@given(st.lists(actions, min_size=2, max_size=12))
def test_a_name_means_what_it_meant_or_says_why_not(steps: list[tuple[Any, ...]]) -> None:
    """Devices come, go, are renamed, change what they offer, are forgotten; the relay starts anew."""
    fleet = Fleet()
    fleet.connect("one", "laptop", None)
    fleet.check()
    assert fleet.answered == 8
    for step in steps:
        match step:
            case ("connect", key, label, prefix):
                fleet.connect(key, label, prefix)
            case ("change", key, items):
                fleet.change(key, items)
            case ("leave", key, forget):
                fleet.leave(key, forget=forget)
            case _:
                fleet.restart_the_relay()
        fleet.check()
