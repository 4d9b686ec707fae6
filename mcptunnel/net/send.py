"""Sending at once, on TCP connections of Twisted.

A transport keeps what is written until the next turn: the reactor is told to look when the socket takes
something, hears that it does, sends, and stops looking. Mostly the socket takes all there and then.
"""

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.tcp import Server

from mcptunnel.wire.constants import KIB

MOST_AT_ONCE_BYTES: Final = 64 * KIB
"""More is not tried: what does not fit would have to be copied."""


def write_now(transport: Any, parts: Sequence[bytes]) -> None:
    """Write to a transport; what the socket takes has left then, and the rest waits as ever.

    Only a bare TCP connection on which nothing waits is written to directly. If that fails, the
    transport finds out by itself, and tells in its own time.
    """
    if not _can_send(transport) or sum(map(len, parts)) > MOST_AT_ONCE_BYTES:
        transport.writeSequence(parts)
        return
    data = b"".join(parts)
    sent = transport.writeSomeData(data)
    if not isinstance(sent, int):
        transport.write(data)
    elif sent < len(data):
        transport.write(data[sent:])


def _can_send(transport: Any) -> bool:
    return (
        type(transport) is Server
        and bool(transport.connected)
        and not transport.disconnecting
        and not transport.TLS
        and not transport.dataBuffer
        and not transport._tempDataLen  # noqa: SLF001 - there is no other way
    )
