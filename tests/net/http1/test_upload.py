"""Bodies that are written while the request is under way."""

from typing import Any

import pytest

from mcptunnel.net.http1 import RequestError, Upload
from tests.agent.local_http import Socket
from tests.net.http1 import Recorder, in_reactor, until
from tests.net.http1.conftest import Connect, Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BIG = 4 * 1024 * 1024


class Source:
    """Counts how often it was told to go on."""

    def __init__(self) -> None:
        self.told = 0

    def __call__(self) -> None:
        self.told += 1


def test_what_is_written_before_there_is_a_connection_is_kept() -> None:
    source, socket = Source(), Socket(100)
    upload = Upload(6, source)
    assert upload.is_full
    upload.write(b"abc")
    upload.attach(socket)
    assert (socket.sent, source.told, upload.is_full) == (b"abc", 1, False)
    upload.write(b"def")
    upload.end()
    assert (socket.sent, source.told) == (b"abcdef", 1)


def test_a_body_that_was_complete_before_is_sent_whole() -> None:
    socket = Socket(100)
    upload = Upload(None, Source())
    upload.write(b"abc")
    upload.end()
    upload.attach(socket)
    assert socket.sent == b"3\r\nabc\r\n0\r\n\r\n"


def test_nobody_is_told_to_go_on_who_did_not_write() -> None:
    """So nothing is called from within `Client.request`."""
    source = Source()
    Upload(10, source).attach(Socket(100))
    assert source.told == 0


def test_a_full_connection_tells_when_it_takes_more() -> None:
    source, socket = Source(), Socket(4)
    upload = Upload(None, source)
    upload.attach(socket)
    upload.write(b"12345")
    assert upload.is_full
    socket.take()
    assert (upload.is_full, source.told) == (False, 0)  # nobody had to wait
    upload.write(b"12345")
    upload.write(b"6")
    socket.take()
    assert source.told == 1


@pytest.mark.parametrize("attached", [True, False])
def test_the_stated_length_holds(*, attached: bool) -> None:
    """A body that went on would be read as the next request."""
    socket, upload = Socket(100), Upload(3, Source())
    if attached:
        upload.attach(socket)
    with pytest.raises(RequestError, match="longer"):
        upload.write(b"1234")
    upload.write(b"12")
    with pytest.raises(RequestError, match="shorter"):
        upload.end()
    assert socket.sent == (b"12" if attached else b"")


@in_reactor
async def test_a_body_reaches_the_server(serve: Serve, connect: Connect) -> None:
    server = serve(OK)
    recorder, upload = Recorder(), Upload(6, Source())
    connect(server).request("POST", "/", (), upload, recorder)
    upload.write(b"abc")
    await until(lambda: server.visits and b"abc" in server.visits[0].received)
    assert recorder.untouched
    upload.write(b"def")
    upload.end()
    await recorder.end()
    (request,) = server.visits[0].requests
    assert b"content-length: 6\r\n" in request
    assert request.endswith(b"\r\n\r\nabcdef")


@in_reactor
async def test_chunks_reach_the_server(serve: Serve, connect: Connect) -> None:
    server = serve()
    upload = Upload(None, Source())
    connect(server).request("POST", "/", (), upload, Recorder())
    upload.write(b"abc")
    upload.end()

    def received() -> bytes:
        # The scripted server knows no chunks, and takes them for requests.
        return b"".join(b"".join(visit.requests) + visit.received for visit in server.visits)

    await until(lambda: received().endswith(b"\r\n0\r\n\r\n"))
    head, _, body = received().partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body == b"3\r\nabc\r\n0\r\n\r\n"


@in_reactor
async def test_a_connection_with_an_upload_is_not_used_again(
    serve: Serve, connect: Connect
) -> None:
    """What it still has to send could be overtaken."""
    server = serve(OK)
    client = connect(server)
    for _ in range(2):
        recorder, upload = Recorder(), Upload(1, Source())
        client.request("POST", "/", (), upload, recorder)
        upload.write(b"x")
        upload.end()
        await recorder.end()
    assert len(server.visits) == 2


@in_reactor
async def test_a_server_that_reads_nothing_holds_the_writer_up(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    source = Source()
    upload = Upload(8 * BIG, source)
    call = connect(server).request("POST", "/", (), upload, Recorder())
    upload.write(bytes(1))
    await until(lambda: server.visits and source.told)
    visit: Any = server.visits[0]
    visit.transport.pauseProducing()
    visit.dataReceived = lambda _data: None
    upload.write(bytes(8 * BIG - 1))
    assert upload.is_full
    upload_told = source.told
    visit.transport.resumeProducing()
    await until(lambda: not upload.is_full)
    assert source.told == upload_told
    call.abort()


@in_reactor
async def test_an_answer_may_come_before_the_end(serve: Serve, connect: Connect) -> None:
    """What is written after it goes nowhere."""
    server = serve()
    server.early_answer = OK
    recorder, upload = Recorder(), Upload(10, Source())
    connect(server).request("POST", "/", (), upload, recorder)
    upload.write(b"x")
    await recorder.end()
    upload.write(b"y" * 9)
    upload.end()
    server.visits[0].transport.resumeProducing()
    await until(lambda: server.visits[0].lost)
    assert b"y" not in server.visits[0].received


class PieceCount(Socket):
    """Counts what it is given one by one, as a transport keeps it."""

    pieces = 0

    def write(self, data: bytes) -> None:
        self.pieces += 1
        super().write(data)


@pytest.mark.parametrize("attached", [True, False])
def test_small_pieces_that_wait_are_joined(*, attached: bool) -> None:
    """A window of single bytes for a server that does not read: few pieces, in their order."""
    socket, source = PieceCount(4), Source()
    upload = Upload(None, source)
    if attached:
        upload.attach(socket)
        upload.write(b"first")
    sent = bytes(number % 251 for number in range(64 * 1024))
    for at in range(len(sent)):
        upload.write(sent[at : at + 1])
    assert socket.pieces <= (17 if attached else 0)
    upload.write(bytes(10_000))
    if not attached:
        upload.attach(socket)
    socket.take()
    assert source.told == 1
    upload.write(b"last")
    upload.write(b"s")
    upload.end()
    chunks = socket.sent.replace(b"5\r\nfirst\r\n", b"")
    body = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        body += chunks[: int(size, 16)]
        chunks = chunks[int(size, 16) + 2 :]
    assert body == sent + bytes(10_000) + b"lasts"
