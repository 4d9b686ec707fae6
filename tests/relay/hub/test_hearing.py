"""What servers tell of resources, as those who listen hear it."""

from mcptunnel.testing.joined import Joined
from tests.relay.hub.listens import UPDATED, known, listen, updates, wanted
from tests.relay.hub.servers import with_resources


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
