"""Listens on the hub: acknowledged at once, of all servers, for as long as the client likes."""

from typing import Any

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from mcptunnel.mcp.names import Target
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import listening
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.testing.joined import Answer, Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts, with_resources

LISTEN = "subscriptions/listen"
UPDATED = "notifications/resources/updated"


def listen(joined: Joined, *uris: str, user: str = "alice", **lists: bool) -> Answer:
    wishes = {**lists, **({"resourceSubscriptions": list(uris)} if uris else {})}
    answer = joined.client(user).request(LISTEN, {"notifications": wishes}, request_id="l")
    joined.wait_s(listening.PAUSE_S)
    return answer


def honoured(answer: Answer) -> Any:
    first = answer.notifications[0]
    assert first.method == "notifications/subscriptions/acknowledged"
    return jsonrpc.decode(first.params["notifications"])


def updates(answer: Answer) -> list[str]:
    """Return the URIs that the client heard of since the last look."""
    uris = [jsonrpc.text(m.params["uri"]) for m in answer.notifications if m.method == UPDATED]
    answer.notifications.clear()
    return [uri for uri in uris if uri]


def known(joined: Joined, user: str = "alice") -> list[str]:
    """Let the hub learn of all resources; return their URIs."""
    client = joined.client(user)
    client.request("resources/templates/list")
    return [one["uri"] for one in client.request("resources/list").value["resources"]]


def wanted(server: MemoryServer) -> list[str]:
    """Return the URIs that the hub listens to at a server now."""
    (open_listen,) = [one for one in server.listens if not one.is_over]
    uris: list[str] = open_listen.wishes.get("resourceSubscriptions", [])
    return uris


def test_it_is_acknowledged_at_once_with_what_is_honoured() -> None:
    """Even without any device; what nobody has is left out, and so is what cannot be told of."""
    joined = Joined()
    wishes = {"toolsListChanged": True, "resourcesListChanged": True}
    assert (
        honoured(listen(joined, "file:///a", toolsListChanged=True, resourcesListChanged=True))
        == wishes
    )
    silent = with_resources("silent", "mute:a")
    silent.tells = False
    joined.agent(with_resources("shelf", "file:///a"), silent)
    known(joined)
    answer = listen(joined, "file:///a", "mute:a", "nobody:b")
    assert honoured(answer) == {"resourceSubscriptions": ["file:///a"]}
    assert not answer.is_over


def test_what_may_become_known_is_honoured() -> None:
    """After the relay has started anew, before the device is back."""
    joined, server = Joined(), with_resources("shelf", "file:///a")
    there = Device(Principal("local", "alice"), "installation-1000", "laptop", 0.0, 0.0)
    joined.devices.restore([there])
    answer = listen(joined, "file:///a")
    assert honoured(answer) == {"resourceSubscriptions": ["file:///a"]}
    joined.agent(server, installation_id="installation-1000")
    joined.wait_s(3)
    server.tell(UPDATED, uri="file:///a")
    joined.settle()
    assert updates(answer) == ["file:///a"]


GRACE = HubConfig(offline_grace_s=60)


def restarted(*uris: str) -> tuple[Joined, Answer]:
    """Return a relay that knows one device from before it started, and a listen."""
    joined = Joined(hub=GRACE)
    there = Device(Principal("local", "alice"), "installation-1000", "laptop", 0.0, 0.0)
    joined.devices.restore([there])
    row = ("file:///old", "installation-1000", "shelf", "file:///old")
    joined.hub.tables.restore(Principal("local", "alice"), "uri", [row])
    return joined, listen(joined, *uris, toolsListChanged=True)


@pytest.mark.parametrize(
    ("uri", "told"), [("file:///unlisted", []), ("file:///old", ["file:///old"])]
)
def test_a_device_that_never_comes_back_is_waited_for_no_longer_than_it_is_listed(
    uri: str, told: list[str]
) -> None:
    """Then what was known of it is told as changed, once, and a new listen is not honoured for it."""
    joined, answer = restarted(uri)
    assert honoured(answer)["resourceSubscriptions"] == [uri]
    joined.wait_s(59)
    assert updates(answer) == []
    joined.wait_s(2)
    assert updates(answer) == told
    again = listen(joined, uri, toolsListChanged=True)
    assert honoured(again) == {"toolsListChanged": True}
    joined.wait_s(200)
    assert updates(answer) == []
    assert not any(one.is_over for one in (answer, again))
    answer.cancel()
    again.cancel()
    assert not joined.hub._listening._users


def test_what_turns_out_to_be_nowhere_is_heard_of_when_it_appears() -> None:
    """The device is back without it; the listen goes on, nothing is told, until another brings it."""
    joined, answer = restarted("other:b")
    right = listen(joined, "file:///a")
    shelf, two = with_resources("shelf", "file:///a"), with_resources("two", "file:///c")
    joined.agent(shelf, two, installation_id="installation-1000")
    joined.wait_s(3)
    assert honoured(listen(joined, "other:b")) == {}
    joined.wait_s(100)
    assert not any(one.is_over for one in (answer, right))
    assert updates(answer) == []
    shelf.tell(UPDATED, uri="file:///a")
    joined.settle()
    assert updates(right) == ["file:///a"]
    late = with_resources("late", "other:b")
    joined.agent(late, name="tower")
    joined.wait_s(3)
    late.tell(UPDATED, uri="other:b")
    joined.settle()
    assert updates(answer) == ["other:b"]


def test_what_is_taken_away_is_told_as_changed_once() -> None:
    """The server is gone from its device, for good as far as can be known: reading it, a client hears so."""
    joined = Joined()
    shelf, two = with_resources("shelf", "file:///a"), with_resources("two", "file:///c")
    agent = joined.agent(shelf, two)
    known(joined)
    answer = listen(joined, "file:///a", "file:///c")
    joined.wait_s(3)
    del agent.servers["shelf"]
    agent.announcer.announce()
    joined.wait_s(100)
    assert updates(answer) == ["file:///a"]
    assert not answer.is_over
    two.tell(UPDATED, uri="file:///c")
    joined.settle()
    assert updates(answer) == ["file:///c"]


def test_what_was_looked_up_too_early_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """All becomes known while it is found out whose a URI is, and nothing else changes after."""
    joined = Joined()
    server = with_resources("files", templates=("x:{a}",))
    joined.agent(server)
    known(joined)
    asked: list[int] = []

    def is_settled(_self: Expected, _principal: Principal) -> bool:
        asked.append(1)
        return len(asked) > 3

    monkeypatch.setattr(Expected, "is_settled", is_settled)
    answer = listen(joined, "x:5")
    assert honoured(answer) == {"resourceSubscriptions": ["x:5"]}
    joined.wait_s(3)
    assert wanted(server) == ["x:5"]


@pytest.mark.parametrize("notifications", [None, 1, {"resourceSubscriptions": 1}])
def test_what_is_malformed_is_refused(notifications: Any) -> None:
    answer = Joined().client().request(LISTEN, {"notifications": notifications})
    assert answer.failure is not None
    assert answer.failure.code == INVALID_PARAMS


def test_one_uri_of_two_servers_is_heard_of_each_by_its_own_name() -> None:
    joined = Joined()
    servers = [with_resources(name, "file:///a") for name in ("one", "two")]
    for server in servers:
        joined.agent(server, name=server.status.name)
    uris = known(joined)
    assert len(set(uris)) == 2
    both, first = listen(joined, *uris), listen(joined, uris[0])
    assert [wanted(server) for server in servers] == [["file:///a"]] * 2
    servers[1].tell(UPDATED, uri="file:///a")
    joined.settle()
    assert updates(both) == [uris[1]]
    assert updates(first) == []
    servers[0].tell(UPDATED, uri="file:///a")
    joined.settle()
    assert updates(both) == updates(first) == [uris[0]]


def test_one_listen_for_each_server_whoever_listens() -> None:
    """Counted over the listens of a user: it is renewed when the set changes, and ends with the last."""
    joined, server = Joined(), with_resources("shelf", "x:a", "x:b", "x:c")
    joined.agent(server)
    known(joined)
    one, two = listen(joined, "x:a", "x:b"), listen(joined, "x:b", "x:c")
    assert wanted(server) == ["x:a", "x:b", "x:c"]
    count = len(server.listens)
    three = listen(joined, "x:a")
    assert len(server.listens) == count
    one.cancel()
    joined.wait_s(1)
    assert wanted(server) == ["x:a", "x:b", "x:c"]
    three.cancel()
    joined.wait_s(1)
    assert wanted(server) == ["x:b", "x:c"]
    two.cancel()
    joined.wait_s(1)
    assert all(call.is_over for call in server.listens)


def test_nothing_is_lost_while_the_set_changes() -> None:
    """The old listen is heard until the new one is acknowledged."""
    joined, server = Joined(), with_resources("shelf", "x:a", "x:b")
    joined.agent(server)
    known(joined)
    one = listen(joined, "x:a")
    server.acknowledges = False
    two = listen(joined, "x:b")
    old, new = server.listens
    assert [old.is_over, new.is_over] == [False, False]
    server.tell(UPDATED, uri="x:a")
    server.tell(UPDATED, uri="x:b")  # the old one has not asked for it, the new one is not begun
    joined.settle()
    assert updates(one) == ["x:a"]
    new.acknowledge()
    joined.settle()
    assert [old.is_over, new.is_over] == [True, False]
    server.tell(UPDATED, uri="x:b")
    joined.settle()
    assert "x:b" in updates(two)


def test_a_part_of_a_resource_is_told_to_who_listens_to_the_whole() -> None:
    joined, server = Joined(), with_resources("shelf", "x:/a", "x:/ab")
    joined.agent(server)
    known(joined)
    whole, other = listen(joined, "x:/a"), listen(joined, "x:/ab")
    server.tell(UPDATED, uri="x:/a/part")
    server.tell(UPDATED, uri="y:else")
    server.tell(UPDATED)
    joined.settle()
    assert updates(whole) == ["x:/a/part"]
    assert updates(other) == []


def test_a_part_that_another_listens_to_is_told_by_the_name_of_the_whole() -> None:
    """Each hears of what it asked for, once, and of the nearest whole; what else is said is not its."""
    joined, server = Joined(), with_resources("shelf", "x:/a", "x:/a/b", "x:/a/b/c")
    joined.agent(server)
    known(joined)
    wishes = (("x:/a",), ("x:/a/b/c",), ("x:/a", "x:/a/b"))
    answers = [listen(joined, *uris) for uris in wishes]
    joined.clock.advance(1)
    joined.settle()
    server.tell(UPDATED, uri="x:/a/b/c", title="c")
    joined.settle()
    said = [m.params for answer in answers for m in answer.notifications if m.method == UPDATED]
    assert ["title" in params for params in said] == [False, True, False]
    assert [updates(answer) for answer in answers] == [["x:/a"], ["x:/a/b/c"], ["x:/a/b"]]
    server.tell(UPDATED, uri="x:/a/d")
    joined.settle()
    assert [updates(answer) for answer in answers] == [["x:/a/d"], [], ["x:/a/d"]]


def test_it_outlives_the_device() -> None:
    """When the device is back, what could not be heard of may have changed, and is told."""
    joined, server = Joined(), with_resources("shelf", "x:a")
    agent = joined.agent(server)
    known(joined)
    answer = listen(joined, "x:a")
    joined.lose(agent)
    joined.wait_s(100)
    assert not answer.is_over
    assert updates(answer) == []
    joined.connect(agent)
    joined.wait_s(1)
    assert updates(answer) == ["x:a"]
    server.tell(UPDATED, uri="x:a")
    joined.settle()
    assert updates(answer) == ["x:a"]
    agent.servers.clear()
    agent.announcer.announce()
    joined.wait_s(2)
    assert all(call.is_over for call in server.listens)
    assert not answer.is_over


def test_a_held_tunnel_changes_nothing() -> None:
    joined, server = Joined(), with_resources("shelf", "x:a")
    agent = joined.agent(server)
    known(joined)
    answer = listen(joined, "x:a")
    joined.cut(agent)
    joined.wait_s(5)
    server.tell(UPDATED, uri="x:a")
    joined.connect(agent)
    joined.wait_s(1)
    assert updates(answer) == ["x:a"]
    assert len(server.listens) == 1


def test_servers_are_listened_to_for_lists_only_while_somebody_waits() -> None:
    """And only for what they can tell; then a change is seen without an announcement."""
    joined, server = Joined(), with_prompts("files")
    joined.agent(server)
    joined.wait_s(1)
    assert not server.listens
    answer = listen(joined, toolsListChanged=True, promptsListChanged=True)
    joined.wait_s(1)
    assert server.listens[-1].wishes == {"toolsListChanged": True, "promptsListChanged": True}
    server.answers["prompts/list"] = lambda _: {"prompts": [{"name": "other"}]}
    answer.notifications.clear()
    server.tell("notifications/prompts/list_changed")
    joined.wait_s(2)
    assert [m.method for m in answer.notifications] == ["notifications/prompts/list_changed"]
    assert joined.client().request("prompts/list").value["prompts"][0]["name"] == "files__other"
    answer.cancel()
    joined.wait_s(1)
    assert all(call.is_over for call in server.listens)


def test_nothing_crosses_users() -> None:
    joined = Joined()
    alices, bobs = with_resources("shelf", "x:a"), with_resources("shelf", "x:a")
    joined.agent(alices)
    joined.agent(bobs, user="bob")
    known(joined)
    known(joined, "bob")
    alice, bob = listen(joined, "x:a"), listen(joined, "x:a", user="bob")
    bobs.tell(UPDATED, uri="x:a")
    joined.settle()
    assert (updates(alice), updates(bob)) == ([], ["x:a"])
    assert honoured(listen(joined, "x:a", user="carol")) == {}


def test_when_the_relay_stops_listens_end_in_order() -> None:
    """And nothing is left of them, here or at the agent; no other begins."""
    joined, server = Joined(), with_resources("shelf", "x:a")
    joined.agent(server)
    known(joined)
    answer = listen(joined, "x:a", toolsListChanged=True)
    joined.hub.go_away()
    joined.settle()
    assert answer.value == {"resultType": "complete"}
    assert all(call.is_over for call in server.listens)
    assert not joined.hub._listening._users
    late = joined.client().request(LISTEN, {"notifications": {}})
    assert late.failure is not None
    assert "stopping" in late.failure.message


def test_listens_and_their_uris_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much is not honoured; a listen too many is refused; each user has their own."""
    for name, value in {"LISTENS": 4, "URIS": 3, "USER_URIS": 5, "USER_CHARS": 100}.items():
        monkeypatch.setattr(listening, f"MAX_{name}", value)
    joined = Joined()
    for user in ("alice", "bob"):
        joined.agent(with_resources("shelf", "x:a"), user=user)
        known(joined, user)

    def subscribed(*uris: str, user: str = "alice") -> tuple[Answer, int]:
        answer = listen(joined, *uris, user=user)
        return answer, len(honoured(answer).get("resourceSubscriptions", ()))

    first, count = subscribed("x:1", "x:2", "x:3", "x:4")
    assert count == 3
    assert subscribed("x:1", "x:2", "x:3")[1] == 2
    assert subscribed("x:1")[1] == 0
    assert subscribed("x:1", user="bob")[1] == 1
    listen(joined)
    late = listen(joined)
    assert late.failure is not None
    assert late.failure.code == INTERNAL_ERROR
    first.cancel()
    assert subscribed("x:" + "l" * 99, "x:1")[1] == 0
    assert joined.hub._listening._users[Principal("local", "alice")].uri_count == 2


def test_no_turn_looks_up_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listen of many URIs against many templates that all begin alike: spread, and none is lost."""
    joined = Joined()
    templates = tuple(f"x:{{a}}/{number}" for number in range(300))
    server = with_resources("files", templates=templates)
    joined.agent(server)
    known(joined)
    turns: list[int] = []
    find = listening.Listening._look_up

    def noted(
        self: listening.Listening,
        principal: Principal,
        uri: str,
        before: Target | None,
        owners: Owners | None,
    ) -> Any:
        steps, place = find(self, principal, uri, before, owners)
        turns[-1] += steps
        return steps, place

    go_on = listening.Listening._go_on

    def turn(self: listening.Listening, *args: Any) -> None:
        turns.append(0)
        go_on(self, *args)

    monkeypatch.setattr(listening.Listening, "_look_up", noted)
    monkeypatch.setattr(listening.Listening, "_go_on", turn)
    uris = [f"x:{number}/7" for number in range(100)]
    answer = listen(joined, *uris)
    assert sorted(honoured(answer)["resourceSubscriptions"]) == sorted(uris)
    joined.settle()
    assert sum(turns) > 10 * listening.STEPS_PER_TURN
    assert max(turns) < 2 * listening.STEPS_PER_TURN
    assert sorted(wanted(server)) == sorted(uris)


def test_what_changes_while_it_is_found_out_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each URI takes a turn of its own: a second listen begins in between."""
    monkeypatch.setattr(listening, "STEPS_PER_TURN", 1)
    joined = Joined()
    server = with_resources("files", *(f"x:{number}" for number in range(20)))
    joined.agent(server)
    known(joined)
    first = joined.client().request(
        LISTEN, {"notifications": {"resourceSubscriptions": ["x:1", "x:2", "x:3"]}}, request_id="l"
    )
    assert first.notifications
    listen(joined, "x:9")
    joined.wait_s(2 * listening.PAUSE_S)
    assert sorted(wanted(server)) == ["x:1", "x:2", "x:3", "x:9"]
