"""Subscriptions that a server does not declare: tried a few at a time, each once."""

import pytest

from mcptunnel.mcp.server_half.tried import ANSWER_S, MAX_TRIED, TriedSubscriptions


class Server:
    """What a server is asked, by the id of the request, and whose answer nobody waits for."""

    def __init__(self) -> None:
        self.asked: dict[int, str] = {}
        self.dropped: list[int] = []
        self.tried = TriedSubscriptions(self.ask, self.dropped.append)

    def ask(self, uri: str) -> int:
        own = len(self.asked) + 1
        self.asked[own] = uri
        return own


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_uri_is_open_until_it_is_answered(server: Server) -> None:
    server.tried.want("a")
    assert server.asked == {1: "a"}
    assert server.tried.is_open("a")
    assert server.tried.answered(7) is None
    assert server.tried.answered(None) is None
    assert server.tried.answered(1) == "a"
    assert not server.tried.is_open("a")
    assert server.tried.answered(1) is None


def test_only_a_few_are_asked_for_at_once(server: Server) -> None:
    """The others are open, and have their turn with each answer."""
    uris = [f"u:{number}" for number in range(MAX_TRIED + 2)]
    for uri in uris:
        server.tried.want(uri)
    assert list(server.asked.values()) == uris[:MAX_TRIED]
    assert all(map(server.tried.is_open, uris))
    server.tried.answered(1)
    assert server.asked[MAX_TRIED + 1] == uris[MAX_TRIED]


def test_what_was_never_asked_for_needs_no_unsubscribe(server: Server) -> None:
    for number in range(MAX_TRIED + 1):
        server.tried.want(f"u:{number}")
    assert not server.tried.unwant(f"u:{MAX_TRIED}")
    assert server.tried.unwant("u:0")
    assert not server.tried.is_open("u:0")
    server.tried.answered(1)
    assert len(server.asked) == MAX_TRIED


def test_of_one_uri_asked_for_again_the_last_answer_counts(server: Server) -> None:
    server.tried.want("a")
    assert server.tried.unwant("a")
    server.tried.want("a")
    assert server.tried.answered(1) is None
    assert server.tried.is_open("a")
    assert server.tried.answered(2) == "a"


def test_a_request_without_an_answer_gives_way_to_the_next(server: Server) -> None:
    """Who carries it is told; an answer that comes all the same counts."""
    for number in range(MAX_TRIED + 1):
        server.tried.want(f"u:{number}")
    server.tried.tick(1000.0)
    server.tried.tick(1000.0 + ANSWER_S - 1)
    assert not server.dropped
    server.tried.tick(1000.0 + ANSWER_S)
    assert server.dropped == list(range(1, MAX_TRIED + 1))
    assert server.asked[MAX_TRIED + 1] == f"u:{MAX_TRIED}"
    assert server.tried.answered(1) == "u:0"
