"""Open streams, and whose they are."""

from mcptunnel.mcp.client_half.streams import MAX_STREAMS, Streams
from mcptunnel.mcp.service import Asker


class Stream:
    def __init__(self) -> None:
        self.ended = 0

    def end(self) -> None:
        self.ended += 1


def test_streams_are_ended_together() -> None:
    streams, hers, his = Streams(), Stream(), Stream()
    assert streams.add(Asker("a", "1"), hers)
    assert streams.add(Asker("b", "1"), his)
    streams.end()
    assert (hers.ended, his.ended) == (1, 1)


def test_they_are_bounded_and_forgotten() -> None:
    streams = Streams()
    held = [Stream() for _ in range(MAX_STREAMS)]
    assert all(streams.add(Asker("a", str(n)), one) for n, one in enumerate(held))
    assert not streams.add(Asker("a", "x"), Stream())
    for one in held:
        streams.remove(Asker("a", "whoever"), one)
    streams.remove(Asker("a", "x"), Stream())
    assert not streams._open
