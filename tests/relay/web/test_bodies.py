"""Room for all bodies together: the largest gives way."""

import pytest
from twisted.internet.defer import Deferred

from tests.relay.web.limited import LIMIT, PING, begin, limited_site
from tests.relay.web.site import HttpClient, MemorySite


@pytest.fixture
def site() -> MemorySite:
    return limited_site()


@pytest.fixture
def client(site: MemorySite) -> HttpClient:
    client = site.client()
    client.initialize()
    return client


def test_the_largest_body_gives_way_when_there_is_no_room(client: HttpClient) -> None:
    """Small calls go on, whoever else fills the relay."""
    client.site.site.bodies._max_bytes = 3 * LIMIT
    large = [begin(client) for _ in range(4)]
    for size, connection in enumerate(large):
        connection.send(bytes(LIMIT - 8 + size))
    assert [len(connection.answers) for connection in large] == [0, 0, 0, 1]
    refused = large[-1]
    assert refused.answer.status == 503
    assert refused.answer.headers["retry-after"] == "5"
    assert refused.answer.headers["connection"] == "close"
    small = begin(client, len(PING))
    small.send(PING)
    assert small.answer.status == 200
    assert not large[2].answers
    large.append(begin(client))
    large[-1].send(bytes(100))
    assert large[2].answer.status == 503
    assert not large[0].answers
    for connection in large:
        connection.hang_up()
    assert client.site.site.bodies.held_bytes == 0


def test_complete_bodies_no_longer_count(client: HttpClient) -> None:
    for _ in range(3):
        assert client.legacy("ping", {"x": "y" * 1000}).answer.status == 200
        assert client.site.site.bodies.held_bytes == 0


def test_a_body_gives_way_while_its_token_is_checked(site: MemorySite) -> None:
    """Whoever checks it is told that the client is gone."""
    site.site.bodies._max_bytes = 100
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = begin(client)
    connection.send(bytes(101))
    assert connection.answer.status == 503
    gate.callback(None)
    assert len(connection.answers) == 1
