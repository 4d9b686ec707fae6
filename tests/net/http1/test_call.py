"""What the sender of a request can do with it: pause, resume, abort."""

import gc
import weakref

import pytest

from mcptunnel.net.http1 import Call, Client, Upload
from tests.conftest import LoggedFailures
from tests.net.http1 import Recorder, Server, Silence, in_reactor, turns, until
from tests.net.http1.conftest import Connect, Serve
from tests.net.http1.test_client import HELLO, STREAM, get, post


@in_reactor
async def test_a_pause_reaches_the_server_and_the_connection_is_used_again(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    client = connect(server)
    call, got = get(client)
    call.pause()
    await until(lambda: server.visits and server.visits[0].requests)
    size = 30_000_000
    server.visits[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    await turns()
    assert got.head is None
    call.resume()
    await until(lambda: len(got.body) > 0)
    call.pause()
    await turns()
    held = len(got.body)
    await turns()
    assert len(got.body) == held < size
    call.resume()
    await got.end()
    assert len(got.body) == size
    server.answer = HELLO
    _, again = get(client)
    await again.end()
    assert len(server.visits) == 1


@in_reactor
async def test_a_response_that_ends_while_paused_leaves_no_paused_connection(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    call, got = get(client)
    got.at_head = call.pause
    await until(lambda: got.outcome)
    call.resume()
    _, again = get(client)
    await again.end()
    assert len(server.visits) == 1


@in_reactor
async def test_abort_while_connecting(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(80)
    monkeypatch.setattr(client, "_endpoint", Silence())
    call, got = post(client)
    await turns()
    assert client._opening
    call.abort()
    call.abort()
    await turns()
    assert got.untouched
    assert not client._opening


@in_reactor
async def test_the_server_learns_of_an_abort_in_mid_stream(serve: Serve, connect: Connect) -> None:
    server = serve(STREAM + b"5\r\nhello\r\n")
    client = connect(server)
    call, got = get(client)
    await until(lambda: got.body)
    call.abort()
    await until(lambda: server.visits[0].lost)
    call.pause()
    call.resume()
    assert got.outcome is None
    assert not client._connections


@in_reactor
async def test_abort_from_within_a_callback_silences_the_rest(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    call, got = get(client)
    got.at_head = call.abort
    await until(lambda: server.visits and server.visits[0].lost)
    assert (got.pieces, got.outcome) == ([], None)


@in_reactor
async def test_a_receiver_that_raises_when_told_of_a_failure(
    connect: Connect, serve: Serve, logged_failures: LoggedFailures
) -> None:
    class Broken(Recorder):
        def failed(self, reason: object) -> None:
            raise ValueError(reason)

    server: Server = serve(b"garbage")
    client = connect(server)
    client.request("GET", "/", (), b"", Broken())
    await until(lambda: server.visits and server.visits[0].lost)
    await until(lambda: not client._connections)
    assert len(logged_failures.take(ValueError)) == 1


class Holder(Recorder):
    """A receiver that holds its call, as most do."""

    call: Call

    def resumed(self) -> None:
        """There is nothing more to write."""


async def ended(server: Server, client: Client) -> "weakref.ref[Holder]":
    """Make a call and see its end; return what is left of its receiver."""
    got = Holder()
    upload = Upload(2, got.resumed)
    got.call = client.request("POST", "/", (), upload, got)
    upload.write(b"ab")
    upload.end()
    await until(lambda: server.visits and server.visits[0].requests)
    if server.answer is None:
        server.visits[0].hang_up()
    await until(lambda: got.outcome)
    return weakref.ref(got)


@pytest.mark.parametrize("answer", [HELLO, None])
@in_reactor
async def test_a_call_that_is_over_is_freed(
    serve: Serve, connect: Connect, answer: bytes | None
) -> None:
    """With its receiver and its upload, well or badly ended, and not only by the garbage collector."""
    server = serve(answer)
    client = connect(server)
    gc.disable()
    try:
        known = await ended(server, client)
        await turns()
        assert known() is None
    finally:
        gc.enable()
