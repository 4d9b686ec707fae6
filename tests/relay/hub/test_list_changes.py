"""Changes of a user's merged lists: told if there are any, once a second at most."""

from typing import Any

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.bearers import Bearers
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.hub.list_changes import ListChanges
from mcptunnel.testing.joined import Answer, Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts, with_resources

ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


def listen(joined: Joined, user: str = "alice", **wishes: bool) -> Answer:
    return joined.client(user).request(
        "subscriptions/listen", {"notifications": wishes or ALL}, request_id="l"
    )


def told(answer: Answer) -> list[str]:
    """Return which lists changed since the last look."""
    methods = [one.method.split("/")[1] for one in answer.notifications]
    answer.notifications.clear()
    return [method for method in methods if method != "subscriptions"]


def test_lists_change_when_devices_come_and_when_they_are_away_for_long() -> None:
    """And not while they are away for a moment."""
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    heard = listen(joined)
    joined.agent(MemoryServer("files", {"t": None}), with_prompts("p"))
    joined.wait_s(3)
    assert sorted(told(heard)) == ["prompts", "tools"]
    agent = joined.agent(with_resources("shelf", "a:b"), name="tower")
    joined.wait_s(3)
    assert sorted(set(told(heard))) == [
        "prompts",
        "resources",
        "tools",
    ]  # the names have devices now
    joined.lose(agent)
    joined.wait_s(50)
    joined.connect(agent)
    joined.wait_s(50)
    assert told(heard) == []
    joined.lose(agent)
    joined.wait_s(59)
    assert told(heard) == []
    joined.wait_s(2)
    assert told(heard) == ["resources"]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_list_changes_when_its_server_says_so(kind: Kind) -> None:
    """Templates change with resources; and what is announced anew but alike is no change."""
    joined, server = Joined(), MemoryServer("files", {"t": None})
    members = {
        Kind.PROMPT: ("prompts/list", "prompts", {"name": "p"}),
        Kind.RESOURCE: ("resources/list", "resources", {"uri": "a:b", "name": "r"}),
        Kind.TEMPLATE: ("resources/templates/list", "resourceTemplates", {"uriTemplate": "a:{x}"}),
    }
    for method, member, _ in members.values():
        server.offer_list(method, member)
    joined.agent(server)
    heard = listen(joined)
    joined.wait_s(3)
    told(heard)
    server.become(server._state)
    joined.wait_s(3)
    assert told(heard) == []
    if kind is Kind.TOOL:
        server.offer({"t": None, "more": None})
    else:
        method, member, item = members[kind]
        server.offer_list(method, member, item)
    joined.wait_s(3)
    what = "resources" if kind is Kind.TEMPLATE else f"{kind.value}s"
    assert told(heard) == [what]


def test_the_first_fetch_of_a_list_is_no_change() -> None:
    """Nobody had asked for it; what changes afterwards is one, and so is what a device brings."""
    joined, server = Joined(), with_prompts("p", "one")
    joined.agent(server)
    joined.wait_s(3)
    heard = listen(joined)
    joined.wait_s(5)
    assert told(heard) == []
    server.offer_list("prompts/list", "prompts", {"name": "one"}, {"name": "two"})
    joined.wait_s(3)
    assert told(heard) == ["prompts"]
    joined.agent(with_prompts("q"), name="tower")
    joined.wait_s(5)
    assert set(told(heard)) == {"prompts"}


def test_a_first_fetch_that_takes_longer_than_a_client_would_wait_is_a_change() -> None:
    """Who asked meanwhile was given a part of the list."""
    joined, server = Joined(hub=HubConfig(server_timeout_s=2)), with_prompts("p", "one")
    joined.agent(server)
    joined.wait_s(3)
    listed, server.answers["prompts/list"] = server.answers["prompts/list"], None
    heard = listen(joined)
    joined.wait_s(3)
    assert told(heard) == []
    server.answers["prompts/list"] = listed
    joined.wait_s(30)
    assert told(heard) == ["prompts"]


def test_a_list_that_is_only_written_in_another_way_is_no_change() -> None:
    joined, server = Joined(), MemoryServer("files", {})
    one: dict[str, Any] = {
        "name": "p",
        "title": "P",
        "arguments": [{"name": "a", "required": True}],
    }
    server.offer_list("prompts/list", "prompts", one)
    joined.agent(server)
    joined.client().request("prompts/list")
    heard = listen(joined)
    joined.wait_s(3)
    told(heard)
    other = {"arguments": [{"required": True, "name": "a"}], "title": "P", "name": "p"}
    server.offer_list("prompts/list", "prompts", other)
    joined.wait_s(3)
    assert told(heard) == []
    server.offer_list("prompts/list", "prompts", {**other, "title": "Q"})
    joined.wait_s(3)
    assert told(heard) == ["prompts"]


class Lists:
    """A listing of one server whose list is always another one (`listing.Listing`)."""

    def by_server(self, _principal: Principal, _now_s: float) -> list[tuple[Raw, ...]]:
        return [(Raw(b"{}"),)]


def test_however_often_a_list_changes_it_is_told_of_once_a_second() -> None:
    """At once, and then the last change again."""
    clock, told_s = Clock(), list[float]()
    listings: Any = {kind: Lists() for kind in Kind}
    settling: Any = Joined().hub.parts.settling
    devices = Devices(lambda _: None, lambda _: None, Bearers(lambda *_: None))
    changes = ListChanges(
        clock,
        devices,
        listings,
        settling,
        epoch_s=clock.seconds,
        offline_grace_s=1.0,
        tell=lambda _user, _kind: told_s.append(clock.seconds()),
    )
    alice = Principal("local", "alice")
    changes.watch(alice, [Kind.TOOL])
    for _ in range(100):
        changes.check(alice)
        clock.advance(0.125)
    clock.advance(10)
    assert told_s == [*map(float, range(13)), *told_s[13:]]
    assert len(told_s) <= 14
    changes.check(alice)
    changes.check(alice)
    changes.stop()
    assert not clock.getDelayedCalls()


def test_only_what_was_asked_for_is_told_and_only_to_its_user() -> None:
    joined = Joined()
    prompts, bob = listen(joined, promptsListChanged=True), listen(joined, "bob")
    joined.agent(MemoryServer("files", {"t": None}))
    joined.wait_s(2)
    assert told(prompts) == told(bob) == []
    joined.agent(with_prompts("p"), name="tower")
    joined.wait_s(2)
    assert told(prompts) == ["prompts"]
    assert told(bob) == []


def test_nothing_is_left_when_nobody_listens() -> None:
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"t": None}))
    joined.wait_s(100)

    def delayed() -> list[Any]:
        return [call for call in joined.clock.getDelayedCalls() if "absent" in str(call)]

    heard = listen(joined)
    joined.lose(agent)
    joined.wait_s(1)
    assert delayed()
    heard.cancel()
    assert not delayed()
    assert not joined.hub._listening._list_changes._users
