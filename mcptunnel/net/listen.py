"""Listening ports, and room for many connections."""

import resource
import socket
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.net.errors import ListenFailed

WANTED_FILES = 1 << 18
"""One descriptor per agent and one per client; one process serves no more than this."""

BACKLOG = 4096
"""Connections that the system holds until we accept them, if it allows as many. Twisted asks for 50;
then the agents that all come back after a restart, and clients beside them, are reset."""


class ListeningService(Service):
    """Listens on an endpoint description (in the syntax of `strports`) while it runs.

    A port that cannot be had stops the start with ListenFailed: the program must not run on deaf.
    As with `strports.service`, ports are opened before privileges are dropped. Making the service
    raises ListenFailed for a description that is no endpoint, as with an unreadable certificate.
    """

    _log = Logger()

    def __init__(self, description: str, factory: IProtocolFactory, reactor: Any) -> None:
        self._description = description
        self._factory = factory
        self._listening: Deferred[Any] | None = None
        self._port: IListeningPort | None = None
        try:
            self._endpoint = serverFromString(reactor, description)
        except Exception as error:
            raise ListenFailed.because(description, error) from error

    @property
    def address(self) -> IAddress | None:
        """The bound address, with the port that the system chose for 0; None unless listening."""
        return None if self._port is None else self._port.getHost()

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        starting = True
        at_once: list[Failure] = []

        def failed(failure: Failure) -> None:
            if starting:
                at_once.append(failure)
            elif not isinstance(failure.value, CancelledError):
                self._log.failure("cannot listen on {on}", failure, on=self._description)

        listening = self._endpoint.listen(self._factory).addCallbacks(self._listens, failed)
        starting = False
        if at_once:
            reason = at_once[0].value
            raise ListenFailed.because(self._description, reason) from reason
        self._listening = listening

    def startService(self) -> None:
        if self._listening is None:
            self.privilegedStartService()
        super().startService()

    async def stopService(self) -> None:
        super().stopService()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        set_no_delay(port)
        if "backlog" not in self._description:
            raise_backlog(port)
        self._log.info("listening on {address}", address=address_text(port.getHost()))


def address_text(address: object) -> str:
    """Return an address as people write it: `host:port`, a path, or "unknown"."""
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
        case UNIXAddress(name=bytes(path)):
            return path.decode(errors="replace")
    return "unknown"


def set_no_delay(port: IListeningPort) -> None:
    """Switch Nagle's algorithm off on every connection that a TCP port will accept.

    Accepted sockets inherit the option (Linux, BSD, macOS), so that it holds through TLS and for
    every protocol. Other kinds of ports are left alone.
    """
    listener = getattr(port, "socket", None)
    if isinstance(listener, socket.socket) and listener.family in (
        socket.AF_INET,
        socket.AF_INET6,
    ):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def raise_backlog(port: IListeningPort) -> None:
    """Let the system hold up to BACKLOG connections for a port that listens on a socket."""
    listener = getattr(port, "socket", None)
    if isinstance(listener, socket.socket):
        listener.listen(BACKLOG)  # on a socket that listens it changes only this


def raise_file_limit(wanted: int = WANTED_FILES) -> int:
    """Raise the soft limit of open files towards `wanted`, within the hard limit; never lower it.

    Returns the limit that holds now. A system that refuses keeps the one it has.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= goal:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
    except (ValueError, OSError):  # macOS names no hard limit and still has one
        return soft
    return goal
