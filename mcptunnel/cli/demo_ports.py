"""The port of the demo: one that is asked for, or one that is free."""

import random
import socket
from typing import Final

from mcptunnel.errors import McpTunnelError

DEFAULT_PORT: Final = 8787
FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000
"""Systems give ports from 32768 on to outgoing connections; below, a free one stays free."""

_ADDRESS: Final = "127.0.0.1"
_ATTEMPTS: Final = 50


def is_free(port: int) -> bool:
    """Whether a program could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError:
            return False
    return True


def require_free(port: int) -> None:
    """Raises McpTunnelError, with what to do, if a port cannot be had."""
    if not is_free(port):
        raise McpTunnelError(
            f"Port {port} on {_ADDRESS} is taken or not allowed. "
            f"Choose another one: make demo PORT={port + 1}, or mcptunnel demo --port {port + 1}."
        )


def free_port() -> int:
    """Return a free port below 32768. Raises McpTunnelError if there seems to be none."""
    for _attempt in range(_ATTEMPTS):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - a port is no secret
        if is_free(port):
            return port
    raise McpTunnelError(f"No free port was found between {FIRST_PORT} and {LAST_PORT}.")
