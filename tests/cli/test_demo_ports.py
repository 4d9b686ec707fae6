"""The port of the demo."""

import socket

import pytest

from mcptunnel.cli.demo_ports import FIRST_PORT, LAST_PORT, free_port, is_free, require_free
from mcptunnel.errors import McpTunnelError


def test_a_taken_port_is_told_with_what_to_do() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
        with pytest.raises(McpTunnelError, match=rf"Port {port} .* is taken.*PORT={port + 1}"):
            require_free(port)
    require_free(port)


def test_a_free_port_is_below_those_of_outgoing_connections() -> None:
    assert all(FIRST_PORT <= free_port() <= LAST_PORT < 32768 for _ in range(20))
