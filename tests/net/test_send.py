"""What is sent at once, and what waits as ever."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport

from mcptunnel.net.send import MOST_AT_ONCE_BYTES, write_now


class Watching:
    """A reactor that only remembers who wants to read and write."""

    def __init__(self) -> None:
        self.writing: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """Nobody reads here."""

    def addWriter(self, writer: Any) -> None:
        self.writing.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writing.discard(writer)


class Connection:
    """A connection as a listening port makes it, and its other end."""

    def __init__(self) -> None:
        own, self.other = socket.socketpair()
        own.setblocking(False)
        self.other.setblocking(False)
        self.reactor = Watching()
        port: Any = None
        self.transport: Any = Server(own, Protocol(), ("", 0), port, 0, self.reactor)  # type: ignore[arg-type]  # no more of a reactor is used

    def received(self) -> bytes:
        got = b""
        try:
            while piece := self.other.recv(MOST_AT_ONCE_BYTES):
                got += piece
        except BlockingIOError:
            pass
        return got

    def close(self) -> None:
        self.transport.socket.close()
        self.other.close()


@pytest.fixture
def connection() -> Iterator[Connection]:
    made = Connection()
    yield made
    made.close()


def test_what_the_socket_takes_leaves_at_once(connection: Connection) -> None:
    """In one piece, and the reactor is asked for nothing."""
    write_now(connection.transport, [b"head ", b"body"])
    assert connection.other.recv(100) == b"head body"
    assert not connection.reactor.writing


def test_what_waits_already_goes_first(connection: Connection) -> None:
    """The order of what is written stays, whichever way it takes."""
    connection.transport.write(b"one ")
    write_now(connection.transport, [b"two"])
    assert connection.received() == b""
    connection.transport.doWrite()
    assert connection.received() == b"one two"


def test_what_does_not_fit_waits(connection: Connection) -> None:
    """A client that does not read gets all, in order, when it does."""
    pieces = [b"%05d" % number * 2000 for number in range(60)]
    for piece in pieces:
        write_now(connection.transport, [piece])
    assert connection.reactor.writing
    got = b""
    while connection.reactor.writing:
        got += connection.received()
        connection.transport.doWrite()
    assert got + connection.received() == b"".join(pieces)


def test_large_answers_are_not_copied_about(connection: Connection) -> None:
    """They wait for the reactor, as the transport has it."""
    write_now(connection.transport, [b"head", bytes(MOST_AT_ONCE_BYTES)])
    assert connection.received() == b""
    assert connection.reactor.writing


def test_a_lost_connection_is_the_transports_to_tell(connection: Connection) -> None:
    """Nobody is told from within a write; the reactor hears of it from the transport."""
    connection.other.close()
    write_now(connection.transport, [b"for nobody"])
    assert connection.transport.connected
    assert isinstance(connection.transport.doWrite(), Exception)


def test_nothing_is_sent_on_a_connection_that_ends(connection: Connection) -> None:
    """As with `write`: what comes after the end is dropped or waits behind it, never passes it by."""
    connection.transport.disconnecting = True
    write_now(connection.transport, [b"late"])
    assert connection.received() == b""


def test_other_transports_are_written_to() -> None:
    """Such as TLS: only a bare TCP connection has a socket for our bytes."""
    transport = StringTransport()
    write_now(transport, [b"a", b"b"])
    assert transport.value() == b"ab"
