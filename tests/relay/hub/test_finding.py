"""Listens follow a URI to whoever it is read from, in turns that are short, whoever leaves meanwhile."""

from typing import Any

import pytest

from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Notification
from mcptunnel.mcp.names import Target
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import finding, honouring, listening
from mcptunnel.relay.hub.expected import Expected
from mcptunnel.relay.hub.honouring import Honouring
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.testing.joined import Answer, Joined
from tests.relay.hub.listens import (
    LISTEN,
    UPDATED,
    honoured,
    known,
    listen,
    updates,
    wanted,
)
from tests.relay.hub.servers import with_resources


def text_of(joined: Joined, uri: str) -> str:
    """Return what a client reads."""
    read = joined.client().request("resources/read", {"uri": uri}).value
    text: str = read["contents"][0]["text"]
    return text


def test_what_only_one_server_could_have_is_heard_of_from_who_turns_out_to_list_it() -> None:
    """It is told as changed then, for it is read from there; the guess is listened to no more."""
    joined = Joined()
    first, late = with_resources("first", "q:1"), with_resources("late", "x:5")
    joined.agent(first)
    known(joined)
    answer = listen(joined, "x:5")
    assert wanted(first) == ["x:5"]
    joined.agent(late, name="tower")
    joined.wait_s(10)
    assert text_of(joined, "x:5") == "late x:5"
    assert updates(answer) == ["x:5"]
    assert wanted(late) == ["x:5"]
    assert all(call.is_over for call in first.listens)
    late.tell(UPDATED, uri="x:5")
    first.tell(UPDATED, uri="x:5")
    joined.settle()
    assert updates(answer) == ["x:5"]


def test_what_was_made_of_a_template_is_heard_of_from_another_server_with_one() -> None:
    """The first is gone, which is told once; so is that another has come."""
    joined = Joined()
    first, third = with_resources("first", templates=("x:{a}",)), with_resources("third", "q:1")
    other, fourth = with_resources("other", templates=("x:{b}",)), with_resources("fourth", "q:2")
    agent = joined.agent(first, third, fourth)
    known(joined)
    answer = listen(joined, "x:5")
    assert wanted(first) == ["x:5"]
    del agent.servers["first"]
    agent.announcer.announce()
    joined.wait_s(100)
    assert updates(answer) == ["x:5"]
    joined.agent(other, name="tower")
    joined.wait_s(10)
    assert text_of(joined, "x:5") == "other x:5"
    assert updates(answer) == ["x:5"]
    other.tell(UPDATED, uri="x:5")
    joined.settle()
    assert updates(answer) == ["x:5"]


def test_a_server_that_never_starts_lets_nobody_wait_for_others() -> None:
    """Time alone makes known whose a URI is: nothing else has to happen."""
    joined = Joined()
    files, third = with_resources("files", templates=("x:{a}",)), with_resources("third", "q:1")
    hanging = with_resources("hanging", "z:1")
    hanging.become(ServerState.STARTING)
    joined.agent(files, third, hanging)
    joined.wait_s(1)
    listen(joined, "x:5")
    assert not files.listens
    joined.wait_s(2 * joined.config.hub.server_timeout_s)
    assert wanted(files) == ["x:5"]


def leave_when_told(answer: Answer) -> None:
    """Have a client leave within the update that it is told of."""
    note = answer.notification

    def left(message: Notification) -> None:
        note(message)
        if message.method == UPDATED and answer.running is not None:
            answer.running.cancel("the client has left")

    answer.notification = left  # type: ignore[method-assign]  # as a stream that is given up


def test_who_leaves_when_told_that_something_is_gone_leaves_nothing_behind() -> None:
    joined = Joined()
    shelf, two = with_resources("shelf", "x:a"), with_resources("two", "x:c")
    agent = joined.agent(shelf, two)
    known(joined)
    leave_when_told(listen(joined, "x:a", "x:c"))
    del agent.servers["shelf"]
    agent.announcer.announce()
    joined.wait_s(100)
    assert not joined.hub._listening._users
    assert all(call.is_over for call in two.listens)
    assert "isten" not in str(joined.clock.getDelayedCalls())


def test_hundreds_that_are_gone_are_told_in_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, and not to who left meanwhile."""
    uris = [f"x:{number}" for number in range(300)]
    joined = Joined()
    shelf, two = with_resources("shelf", *uris), with_resources("two", "y:a")
    agent = joined.agent(shelf, two)
    known(joined)
    stays, leaves = listen(joined, *uris), listen(joined, *uris)
    turns: list[int] = []
    go_on, updated = listening.Listening._go_on, Listen.updated

    def turn(self: listening.Listening, *args: Any) -> None:
        turns.append(0)
        go_on(self, *args)

    def counted(self: Listen, *args: Any) -> None:
        turns[-1] += 1
        updated(self, *args)

    monkeypatch.setattr(listening.Listening, "_go_on", turn)
    monkeypatch.setattr(Listen, "updated", counted)
    leave_when_told(leaves)
    del agent.servers["shelf"]
    agent.announcer.announce()
    joined.wait_s(100)
    assert updates(stays) == uris
    assert updates(leaves) == uris[:1]
    assert 0 < max(turns) < honouring.STEPS_PER_TURN / 10


def test_a_device_in_a_drawer_lets_nobody_wait_for_what_another_has() -> None:
    """After a start of the relay it may come back, and until then nobody guesses what it alone has."""
    joined = Joined()
    away = Device(Principal("local", "alice"), "installation-1000", "drawer", 0.0, 0.0)
    joined.devices.restore([away])
    files = with_resources("files", templates=("x:{a}",))
    joined.agent(files)
    known(joined)
    answer = listen(joined, "x:5", "y:1")
    assert honoured(answer) == {"resourceSubscriptions": ["x:5", "y:1"]}
    joined.wait_s(1)
    assert wanted(files) == ["x:5"]
    joined.wait_s(joined.config.hub.offline_grace_s)
    assert wanted(files) == ["x:5", "y:1"]
    assert updates(answer) == []


def test_what_nobody_has_listed_yet_may_be_somebodys() -> None:
    """A client that listens first after a start of the relay: the lists are asked for because of it."""
    joined = Joined()
    files, third = with_resources("files", templates=("x:{a}",)), with_resources("third", "q:1")
    joined.agent(files, third)
    joined.wait_s(60)
    answer = listen(joined, "x:5", "q:1")
    assert honoured(answer) == {"resourceSubscriptions": ["x:5", "q:1"]}
    joined.wait_s(1)
    assert (wanted(files), wanted(third)) == (["x:5"], ["q:1"])


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


def test_no_turn_looks_up_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listen of many URIs against many templates that all begin alike: spread, and none is lost."""
    joined = Joined()
    templates = tuple(f"x:{{a}}/{number}" for number in range(300))
    server = with_resources("files", templates=templates)
    joined.agent(server)
    known(joined)
    turns: list[int] = []
    look_up = Honouring.look_up

    def noted(
        self: Honouring,
        principal: Principal,
        uri: str,
        before: Target | None,
        owners: Owners | None,
    ) -> Any:
        steps, place = look_up(self, principal, uri, before, owners)
        turns[-1] += steps
        return steps, place

    go_on = listening.Listening._go_on

    def turn(self: listening.Listening, *args: Any) -> None:
        turns.append(0)
        go_on(self, *args)

    monkeypatch.setattr(Honouring, "look_up", noted)
    monkeypatch.setattr(listening.Listening, "_go_on", turn)
    uris = [f"x:{number}/7" for number in range(100)]
    answer = listen(joined, *uris)
    assert sorted(honoured(answer)["resourceSubscriptions"]) == sorted(uris)
    joined.settle()
    assert sum(turns) > 10 * honouring.STEPS_PER_TURN
    assert max(turns) < 2 * honouring.STEPS_PER_TURN
    assert sorted(wanted(server)) == sorted(uris)


def test_what_changes_while_it_is_found_out_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each URI takes a turn of its own: a second listen begins in between."""
    for module in (honouring, finding):
        monkeypatch.setattr(module, "STEPS_PER_TURN", 1)
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
