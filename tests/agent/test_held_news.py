"""What waits for a listener who is too slow."""

from mcptunnel.agent.held_news import MAX_HELD, MAX_HELD_BYTES, HeldNews
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification


def news(number: int, size: int = 0) -> Notification:
    return Notification("n", {"number": jsonrpc.raw(number), "more": jsonrpc.raw("x" * size)})


def test_each_change_is_held_once() -> None:
    held = HeldNews()
    for number in (1, 2, 1):
        held.add(news(number))
    assert held.take() == [jsonrpc.encode(news(number)) for number in (1, 2)]
    assert held.take() == []


def test_so_many_are_held() -> None:
    held = HeldNews()
    for number in range(MAX_HELD + 5):
        held.add(news(number))
    assert len(held.take()) == MAX_HELD


def test_so_many_bytes_are_held() -> None:
    """What has no room is left out, a smaller one after it is not; then there is room again."""
    held = HeldNews()
    for _ in range(2):
        for number in range(5):
            held.add(news(number, 100_000))
        held.add(news(9))
        taken = held.take()
        assert len(taken) == 3
        assert sum(map(len, taken)) <= MAX_HELD_BYTES
