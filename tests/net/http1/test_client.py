"""Requests, answers, and which connections carry them."""

import socket
from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.model import ResponseHead
from mcptunnel.net.http1 import Client, RequestError
from mcptunnel.net.http1.client import IDLE_TIMEOUT_S
from tests.net.http1 import Recorder, in_reactor, turns, until
from tests.net.http1.conftest import Connect, Serve

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(client: Client, path: str = "/") -> tuple[Any, Recorder]:
    recorder = Recorder()
    return client.request("GET", path, (), b"", recorder), recorder


def post(client: Client, body: bytes = b"{}") -> tuple[Any, Recorder]:
    recorder = Recorder()
    return client.request("POST", "/mcp", (("x-a", "b"),), body, recorder), recorder


@in_reactor
async def test_a_request_and_its_answer(serve: Serve, connect: Connect) -> None:
    server = serve(HELLO)
    _, got = post(connect(server))
    assert got.untouched, "nothing is told within request()"
    await got.end()
    assert got.head == ResponseHead(200, (("content-length", "5"),))
    assert got.body == b"hello"
    assert server.visits[0].requests == [
        b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nx-a: b\r\ncontent-length: 2\r\n\r\n{}"
        % server.port
    ]


@in_reactor
async def test_one_connection_carries_one_request_after_the_other(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    for _ in range(5):
        _, got = post(client)
        await got.end()
    assert len(server.visits) == 1
    assert len(server.visits[0].requests) == 5


@in_reactor
async def test_a_request_from_within_ended_uses_the_same_connection(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server)
    _, first = post(client)
    second = Recorder()
    first.at_end = lambda: client.request("GET", "/2", (), b"", second)
    await second.end()
    assert len(server.visits) == 1


@in_reactor
async def test_requests_at_once_use_connections_of_their_own(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server, max_idle=2)
    for got in [post(client)[1] for _ in range(4)]:
        await got.end()
    assert len(server.visits) == 4
    await until(lambda: sum(bool(visit.lost) for visit in server.visits) == 2)


@in_reactor
async def test_a_bound_on_connections_makes_requests_wait_in_order(
    serve: Serve, connect: Connect
) -> None:
    server = serve(HELLO)
    client = connect(server, max_connections=1)
    calls = [get(client, f"/{number}") for number in range(4)]
    calls[2][0].abort()
    await calls[3][1].end()
    assert len(server.visits) == 1
    paths = [request.split()[1] for request in server.visits[0].requests]
    assert paths == [b"/0", b"/1", b"/3"]
    assert calls[2][1].outcome is None


@in_reactor
async def test_a_request_that_waits_goes_on_when_a_connection_is_lost(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    client = connect(server, max_connections=1)
    _, first = get(client)
    _, second = get(client)
    await until(lambda: server.visits and server.visits[0].requests)
    server.answer = HELLO
    server.visits[0].hang_up()
    assert (await first.failure()).may_have_run
    await second.end()
    assert len(server.visits) == 2


@in_reactor
async def test_nagle_is_off(serve: Serve, connect: Connect) -> None:
    client = connect(serve(HELLO))
    _, got = get(client)
    await got.end()
    (connection,) = client._connections
    option = connection.transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option != 0


@in_reactor
async def test_a_connection_that_says_close_is_not_kept(serve: Serve, connect: Connect) -> None:
    server = serve(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    client = connect(server)
    for _ in range(2):
        _, got = post(client)
        await got.end()
    assert len(server.visits) == 2
    await until(lambda: not client._connections)


@in_reactor
async def test_an_answer_until_the_connection_ends(serve: Serve, connect: Connect) -> None:
    server = serve()
    _, got = get(connect(server))
    await until(lambda: server.visits and server.visits[0].requests)
    server.visits[0].send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    server.visits[0].hang_up()
    await got.end()
    assert got.body == b"all of it"


@in_reactor
async def test_continue_is_skipped_and_odd_pieces_are_put_together(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    _, got = post(connect(server))
    await until(lambda: server.visits and server.visits[0].requests)
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + STREAM + b"3\r\nabc\r\n4;x\r\ndefg\r\n0\r\n\r\n"
    for at in range(0, len(answer), 7):
        server.visits[0].send(answer[at : at + 7])
        await turns(3)
    await got.end()
    assert got.body == b"abcdefg"


@in_reactor
async def test_a_slow_stream_arrives_event_by_event(serve: Serve, connect: Connect) -> None:
    server = serve(STREAM)
    client = connect(server)
    _, got = get(client)
    await until(lambda: got.head)
    for number in range(3):
        event = b"data: %d\n\n" % number
        server.visits[0].send(b"%x\r\n%s\r\n" % (len(event), event))
        await until(lambda: len(got.pieces) > number)  # noqa: B023  called before the loop goes on
        assert got.pieces[-1] == event
    server.visits[0].send(b"0\r\n\r\n")
    await got.end()
    assert len(client._idle) == 1


@in_reactor
async def test_a_large_body_arrives_whole(serve: Serve, connect: Connect) -> None:
    server = serve(HELLO)
    body = b"0123456789" * 800_000
    client = connect(server)
    _, got = post(client, body)
    await got.end()
    assert server.visits[0].requests[0].endswith(b"\r\n\r\n" + body)
    _, again = post(client)
    await again.end()


@in_reactor
async def test_an_idle_connection_is_closed_before_the_server_would(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(HELLO)
    client = connect(server)
    clock = Clock()
    monkeypatch.setattr(client, "_reactor", clock)
    recorders = [get(client)[1] for _ in range(2)]
    clock.advance(0)
    await recorders[0].end()
    await recorders[1].end()
    clock.advance(IDLE_TIMEOUT_S / 2)
    _, got = get(client)
    await got.end()
    clock.advance(IDLE_TIMEOUT_S / 2)
    await until(lambda: len(client._connections) == 1)
    clock.advance(IDLE_TIMEOUT_S / 2)
    await until(lambda: not client._connections)
    assert clock.getDelayedCalls() == []


@in_reactor
async def test_close_ends_everything_and_refuses_more(serve: Serve, connect: Connect) -> None:
    server = serve()
    client = connect(server, max_connections=2)
    recorders = [get(client)[1] for _ in range(4)]
    await until(lambda: sum(len(visit.requests) for visit in server.visits) == 2)
    await client.close()
    failures = [await got.failure() for got in recorders]
    assert [failure.may_have_run for failure in failures] == [True, True, False, False]
    with pytest.raises(RequestError, match="closed"):
        get(client)
    await client.close()


@in_reactor
async def test_close_while_connecting(serve: Serve, connect: Connect) -> None:
    client = connect(serve())
    _, got = get(client)
    await client.close()
    assert not (await got.failure()).may_have_run


@in_reactor
async def test_a_request_that_cannot_be_written_is_refused(serve: Serve, connect: Connect) -> None:
    server = serve()
    client = connect(server)
    with pytest.raises(RequestError):
        client.request("GET", "/", (("a", "b\r\nc: d"),), b"", Recorder())
    await turns()
    assert server.visits == []
