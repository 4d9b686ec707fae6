import os

import pytest
from twisted.internet.task import Clock

from mcptunnel.net.process.pipes import HIGH_WATER_BYTES, PipeReader, PipeWriter

LINE = b"x" * 40_000


class Selector(Clock):
    """A reactor that only remembers who wants to read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[object] = []
        self.writing: list[object] = []

    def addReader(self, reader: object) -> None:
        self.reading.append(reader)

    def removeReader(self, reader: object) -> None:
        self.reading = [one for one in self.reading if one is not reader]

    def addWriter(self, writer: object) -> None:
        self.writing.append(writer)

    def removeWriter(self, writer: object) -> None:
        self.writing = [one for one in self.writing if one is not writer]


class Pipe:
    """A pipe with our reader or writer at one end, and the bare descriptor of the other."""

    def __init__(self) -> None:
        self.selector = Selector()
        self.said: list[object] = []
        self.read_fd, self.write_fd = os.pipe()

    def writer(self) -> PipeWriter:
        said = self.said.append
        return PipeWriter(
            self.selector,
            os.fdopen(self.write_fd, "wb", buffering=0),
            lambda: said("paused"),
            lambda: said("resumed"),
            lambda: said("broken"),
        )

    def reader(self) -> PipeReader:
        file = os.fdopen(self.read_fd, "rb", buffering=0)
        return PipeReader(self.selector, file, self.said.append, lambda: self.said.append("ended"))


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def test_what_is_written_in_one_turn_goes_out_together_in_the_next(pipe: Pipe) -> None:
    """One wake-up of the child for however many lines, in their order; nothing is left waiting."""
    os.set_blocking(pipe.read_fd, False)
    writer = pipe.writer()
    for piece in (b"a", b"", b"bc"):
        writer.write(piece)
    with pytest.raises(BlockingIOError):
        os.read(pipe.read_fd, 100)
    assert writer.unsent_bytes == 3
    pipe.selector.advance(0)
    assert os.read(pipe.read_fd, 100) == b"abc"
    assert (writer.unsent_bytes, pipe.selector.getDelayedCalls()) == (0, [])
    writer.write(b"d")
    pipe.selector.advance(0)
    assert os.read(pipe.read_fd, 100) == b"d"
    assert (pipe.selector.writing, pipe.said) == ([], [])
    os.set_blocking(pipe.read_fd, True)
    writer.close()
    assert os.read(pipe.read_fd, 1) == b""
    os.close(pipe.read_fd)


def test_what_does_not_fit_waits_in_order_and_pauses_the_owner(pipe: Pipe) -> None:
    writer = pipe.writer()
    sent = b""
    while not pipe.said:
        sent += LINE
        writer.write(LINE)
    assert pipe.said == ["paused"]
    assert pipe.selector.writing == [writer]
    assert len(sent) > HIGH_WATER_BYTES
    got = b""
    while len(got) < len(sent):
        got += os.read(pipe.read_fd, 50_000)
        if writer in pipe.selector.writing:
            writer.doWrite()
    assert got == sent
    assert pipe.said == ["paused", "resumed"]
    assert pipe.selector.writing == []
    writer.close()
    os.close(pipe.read_fd)


def test_closing_waits_for_what_was_written(pipe: Pipe) -> None:
    writer = pipe.writer()
    for _ in range(3):
        writer.write(LINE)
    writer.close_when_flushed()
    writer.write(b"too late")
    assert not writer.closed
    got = b""
    while piece := os.read(pipe.read_fd, 50_000):
        got += piece
        if not writer.closed:
            writer.doWrite()
    assert got == LINE * 3
    assert writer.fileno() == -1
    os.close(pipe.read_fd)


def test_more_lines_than_one_call_takes_arrive_whole(pipe: Pipe) -> None:
    """A turn may write more lines than the system takes at once (IOV_MAX)."""
    writer = pipe.writer()
    lines = b"".join(b"%d\n" % number for number in range(3000))
    for line in lines.splitlines(keepends=True):
        writer.write(line)
    pipe.selector.advance(0)
    assert os.read(pipe.read_fd, 65_536) == lines
    writer.close()
    os.close(pipe.read_fd)


def test_what_was_written_just_before_the_end_still_goes_out(pipe: Pipe) -> None:
    """Closing in order does not wait for the next turn; closing at once drops it. No timer is left."""
    writer = pipe.writer()
    writer.write(b"last")
    writer.close_when_flushed()
    assert writer.closed
    assert os.read(pipe.read_fd, 100) == b"last"
    dropping = Pipe()
    dropped = dropping.writer()
    dropped.write(b"lost")
    dropped.close()
    assert os.read(dropping.read_fd, 100) == b""
    assert pipe.selector.getDelayedCalls() == dropping.selector.getDelayedCalls() == []
    os.close(pipe.read_fd)
    os.close(dropping.read_fd)


@pytest.mark.parametrize("waiting", [True, False])
def test_a_pipe_that_nobody_reads_is_told_once(pipe: Pipe, waiting: bool) -> None:
    writer = pipe.writer()
    if waiting:
        for _ in range(3):
            writer.write(LINE)
        pipe.said.clear()
    os.close(pipe.read_fd)
    if waiting:
        writer.doWrite()
    writer.write(b"a")
    pipe.selector.advance(0)
    writer.write(b"b")
    pipe.selector.advance(0)
    assert pipe.said == ["broken"]
    assert pipe.selector.writing == []


def test_reading_is_at_most_a_pipe_at_a_time_and_ends_once(pipe: Pipe) -> None:
    reader = pipe.reader()
    os.write(pipe.write_fd, LINE)
    reader.doRead()
    reader.doRead()
    assert pipe.said == [LINE]
    os.close(pipe.write_fd)
    reader.doRead()
    reader.connectionLost(None)
    assert pipe.said == [LINE, "ended"]
    assert (reader.fileno(), pipe.selector.reading) == (-1, [])


def test_draining_takes_what_is_there_and_does_not_wait(pipe: Pipe) -> None:
    reader = pipe.reader()
    os.write(pipe.write_fd, LINE)
    reader.drain()
    assert pipe.said == [LINE]
    assert reader.closed
    os.close(pipe.write_fd)
