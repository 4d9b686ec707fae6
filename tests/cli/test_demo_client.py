"""The demo's client against answers that it should not get."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mcptunnel.cli.demo_client import DemoClient
from mcptunnel.cli.demo_ports import free_port
from mcptunnel.errors import McpTunnelError


@contextmanager
def answering(body: bytes, status: bytes = b"200 OK") -> Iterator[int]:
    """A server that gives every connection the same answer."""
    answer = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    with socket.create_server(("127.0.0.1", free_port())) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer % (status, len(body), body))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_nothing_that_listens_is_no_relay() -> None:
    client = DemoClient(free_port(), "key")
    assert not client.is_up()
    with pytest.raises(McpTunnelError, match="cannot be reached"):
        client.list_tools()


def test_health_tells_whether_an_agent_is_connected() -> None:
    with answering(b'{"status":"ok","tunnel":"disconnected"}') as port:
        client = DemoClient(port, "key")
        assert client.is_up()
        assert not client.is_connected()
    with answering(b'{"status":"ok","tunnel":"connected"}') as port:
        assert DemoClient(port, "key").is_connected()


def test_an_error_of_the_relay_is_told() -> None:
    error = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: x"}}'
    with (
        answering(error, b"400 Bad Request") as port,
        pytest.raises(McpTunnelError, match=r"400 .*Unknown tool: x"),
    ):
        DemoClient(port, "key").call("x", {})
    with answering(b"<html>") as port, pytest.raises(McpTunnelError, match="no JSON"):
        DemoClient(port, "key").call("x", {})


def test_a_tool_that_failed_is_an_error() -> None:
    result = (
        b'{"jsonrpc":"2.0","id":1,"result":'
        b'{"content":[{"type":"text","text":"it broke"}],"isError":true}}'
    )
    with answering(result) as port, pytest.raises(McpTunnelError, match="it broke"):
        DemoClient(port, "key").call("x", {})


@pytest.mark.parametrize(("status", "is_good"), [(b"303 See Other", True), (b"410 Gone", False)])
def test_a_link_is_good_if_it_leads_on(status: bytes, is_good: bool) -> None:
    with answering(b"", status) as port:
        assert DemoClient(port, "key").is_good(f"http://x:{port}/setup?token=y") is is_good
