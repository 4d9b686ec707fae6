"""What goes wrong, and whether the request may have run."""

import struct
from socket import SO_LINGER, SOL_SOCKET

import pytest

from tests.conftest import LoggedFailures
from tests.net.http1 import Recorder, Silence, in_reactor, turns, until
from tests.net.http1.conftest import Connect, Serve
from tests.net.http1.test_client import HELLO, STREAM, get, post


@in_reactor
async def test_nobody_listens(connect: Connect, free_port: int) -> None:
    _, got = post(connect(free_port))
    failure = await got.failure()
    assert not failure.may_have_run
    assert failure.text == (
        f"http://127.0.0.1:{free_port}: nothing listens there, the connection was refused"
    )


@in_reactor
async def test_a_name_that_cannot_be(connect: Connect) -> None:
    _, got = post(connect(80, "http://a..b:{}"))
    assert got.untouched, "nothing is told within request()"
    assert not (await got.failure()).may_have_run


@in_reactor
async def test_no_connection_in_time(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(80, connect_timeout_s=0.02)
    monkeypatch.setattr(client, "_endpoint", Silence())
    _, got = post(client)
    failure = await got.failure()
    assert not failure.may_have_run
    assert failure.text == "http://127.0.0.1: no answer in time"


@in_reactor
async def test_a_server_that_hangs_up_at_once(serve: Serve, connect: Connect) -> None:
    """The end may come before we send, which is certain, or after, which is not."""
    server = serve()
    server.hang_up_at_once = True
    _, got = post(connect(server))
    failure = await got.failure()
    assert "closed the connection" in failure.text


@pytest.mark.parametrize("noticed", [True, False])
@in_reactor
async def test_a_kept_connection_that_the_server_closed_costs_nothing(
    serve: Serve, connect: Connect, noticed: bool
) -> None:
    """Noticed or not: not a byte was sent on it, so the request goes to a new one."""
    server = serve(HELLO)
    client = connect(server)
    _, first = post(client)
    await first.end()
    if not noticed:
        client._idle[0].pause()
    server.visits[0].hang_up()
    await until(lambda: server.visits[0].lost)
    await turns()
    assert bool(client._idle) is not noticed
    _, second = post(client)
    await second.end()
    assert [len(visit.requests) for visit in server.visits] == [1, 1]


@in_reactor
async def test_a_kept_connection_that_was_reset_costs_nothing(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    _, first = post(client)
    await first.end()
    client._idle[0].pause()
    handle = server.visits[0].transport.getHandle()
    handle.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    server.visits[0].transport.abortConnection()
    await until(lambda: server.visits[0].lost)
    _, second = post(client)
    await second.end()


@in_reactor
async def test_a_request_without_an_answer_is_never_repeated(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    _, first = post(client)
    await first.end()
    server.answer = None
    _, second = post(client)
    await until(lambda: len(server.visits[0].requests) == 2)
    server.visits[0].hang_up()
    failure = await second.failure()
    assert failure.may_have_run
    assert failure.text == "The server closed the connection without an answer"
    await turns()
    assert len(server.visits) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 200", "within the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "within the body"),
        (STREAM + b"5\r\nhello\r\n", "within the body"),
    ],
)
@in_reactor
async def test_an_answer_that_is_cut_off(
    serve: Serve, connect: Connect, answer: bytes, text: str
) -> None:
    server = serve()
    _, got = post(connect(server))
    await until(lambda: server.visits and server.visits[0].requests)
    server.visits[0].send(answer)
    server.visits[0].hang_up()
    failure = await got.failure()
    assert failure.may_have_run
    assert text in failure.text


@in_reactor
async def test_a_body_without_length_that_ends_in_a_reset_is_not_whole(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    _, got = post(connect(server))
    await until(lambda: server.visits and server.visits[0].requests)
    server.visits[0].send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    await until(lambda: got.body)
    handle = server.visits[0].transport.getHandle()
    handle.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    server.visits[0].transport.abortConnection()
    assert (await got.failure()).may_have_run


@in_reactor
async def test_garbage_for_an_answer(serve: Serve, connect: Connect) -> None:
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n")
    client = connect(server)
    _, got = post(client)
    failure = await got.failure()
    assert failure.may_have_run
    assert "not an HTTP/1.1 response" in failure.text
    await until(lambda: server.visits[0].lost)


@in_reactor
async def test_a_second_answer_in_the_same_read_fails_the_call(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO + HELLO)
    _, got = post(connect(server))
    assert "more than its response" in (await got.failure()).text


@pytest.mark.parametrize("noticed", [True, False])
@in_reactor
async def test_garbage_between_requests_is_no_answer_to_the_next(
    serve: Serve, connect: Connect, noticed: bool
) -> None:
    server = serve(HELLO)
    client = connect(server)
    _, first = post(client)
    await first.end()
    if not noticed:
        client._idle[0].pause()
    server.visits[0].send(HELLO.replace(b"hello", b"EVIL!"))
    await turns()
    _, second = post(client)
    await second.end()
    assert second.body == b"hello"
    assert len(server.visits) == 2


@in_reactor
async def test_an_early_answer_to_a_large_body_does_not_leave_the_connection_in_use(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    server.early_answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    client = connect(server)
    _, got = post(client, b"x" * 20_000_000)
    await got.end()
    assert got.head
    assert got.head.status == 413
    await until(lambda: not client._connections)


@in_reactor
async def test_a_receiver_that_raises_costs_its_connection_only(
    serve: Serve, connect: Connect, logged_failures: LoggedFailures
) -> None:
    class Broken(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError(data)

    server = serve(HELLO)
    client = connect(server)
    client.request("GET", "/", (), b"", Broken())
    await until(lambda: server.visits and server.visits[0].lost)
    _, got = get(client)
    await got.end()
    assert len(logged_failures.take(ValueError)) == 1
