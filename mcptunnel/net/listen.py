"""The side that is dialled: listening ports, room for many connections, and taking one over.

What is here of the WebSocket is only what twisted.web still has a hand in.
"""

import base64
import binascii
import json
import resource
import socket
from http import HTTPStatus
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from mcptunnel.net.errors import BadHandshake, ListenFailed
from mcptunnel.wire.constants import SUBPROTOCOL

KEY_BYTES = 16
WANTED_FILES = 1 << 18
"""One descriptor per agent and one per client; one process serves no more than this."""


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
        self._log.info("listening on {address}", address=port.getHost())


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


def handshake_key(request: Request) -> bytes:
    """Check an opening handshake (RFC 6455, section 4.2.1) and return its key, or BadHandshake."""
    channel: Any = request.channel
    if not isinstance(channel, HTTPChannel) or request.clientproto != b"HTTP/1.1":
        raise _upgrade_required("A WebSocket starts with HTTP/1.1.")
    if request.method != b"GET":
        status = HTTPStatus.METHOD_NOT_ALLOWED
        raise BadHandshake(status, "method_not_allowed", "Use GET.", {"Allow": "GET"})
    upgrades, connection = (_values(request, name) for name in ("upgrade", "connection"))
    if "websocket" not in map(str.lower, upgrades) or "upgrade" not in map(str.lower, connection):
        raise _upgrade_required("Agents connect here, by WebSocket.")
    if _values(request, "sec-websocket-version") != ["13"]:
        raise _upgrade_required("The WebSocket version must be 13.")
    if request.requestHeaders.hasHeader("origin"):
        raise BadHandshake(HTTPStatus.FORBIDDEN, "origin_refused", "Browsers may not connect here.")
    keys = _values(request, "sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise _bad_request("Sec-WebSocket-Key must be 16 bytes in base64.")
    if SUBPROTOCOL not in _values(request, "sec-websocket-protocol"):
        raise _bad_request(f"The subprotocol must be {SUBPROTOCOL}.")
    if _values(request, "content-length") not in ([], ["0"]):
        raise _bad_request("An upgrade has no body.")
    if _values(request, "transfer-encoding"):
        raise _bad_request("An upgrade has no body.")
    return keys[0].encode()


def _upgrade_required(text: str) -> BadHandshake:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    return BadHandshake(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", text, headers)


def _bad_request(text: str) -> BadHandshake:
    return BadHandshake(HTTPStatus.BAD_REQUEST, "invalid_request", text)


def _values(request: Request, name: str) -> list[str]:
    lines = request.requestHeaders.getRawHeaders(name, [])
    values = [part.strip() for line in lines for part in line.split(",")]
    return [value for value in values if value]


def _is_key(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def refuse(request: Any, error: BadHandshake) -> None:
    body = json.dumps({"error": error.code, "error_description": str(error)}).encode()
    request.setResponseCode(error.status)
    request.responseHeaders.removeHeader("server")
    for name, value in {**error.headers, "Content-Type": "application/json"}.items():
        request.setHeader(name, value)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def take_over(request: Any, channel: Any) -> tuple[Any, bytes]:
    """Part a connection from twisted.web, which then holds nothing of it, nor it of twisted.web.

    Returns the transport and what was received after the request.
    """
    waiting = channel._dataBuffer  # noqa: SLF001 - there is no other way to it
    rest = b"".join(waiting) + channel.clearLineBuffer()
    waiting.clear()
    transport, channel.transport = channel.transport, None
    transport.unregisterProducer()
    channel.setTimeout(None)
    request.setResponseCode(HTTPStatus.SWITCHING_PROTOCOLS)
    request.finished = 1
    request.channel = None
    request.content.close()
    notifications, request.notifications = request.notifications, []
    for waiter in notifications:
        waiter.callback(None)
    return transport, rest
