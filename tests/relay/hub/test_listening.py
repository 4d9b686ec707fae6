"""Listens on the hub: acknowledged at once, of all servers, for as long as the client likes."""

from typing import Any

import pytest

from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import honouring, listeners, listening
from mcptunnel.testing.joined import Answer, Joined
from tests.relay.hub.listens import (
    LISTEN,
    UPDATED,
    honoured,
    known,
    listen,
    restarted,
    updates,
    wanted,
)
from tests.relay.hub.servers import with_prompts, with_resources


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


@pytest.mark.parametrize("notifications", [None, 1, {"resourceSubscriptions": 1}])
def test_what_is_malformed_is_refused(notifications: Any) -> None:
    answer = Joined().client().request(LISTEN, {"notifications": notifications})
    assert answer.failure is not None
    assert answer.failure.code == INVALID_PARAMS


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
    monkeypatch.setattr(listening, "MAX_LISTENS", 4)
    monkeypatch.setattr(honouring, "MAX_URIS", 3)
    monkeypatch.setattr(listeners, "MAX_USER_URIS", 5)
    monkeypatch.setattr(listeners, "MAX_USER_CHARS", 100)
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
