"""HTTP/1.1 connections of the relay: stricter than twisted.web's, with deadlines that are absolute.

A head must be complete so many seconds after the connection, or the answer before it, was; a body
must keep a least pace. A byte now and then buys no time.
"""

from typing import Any, Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

DEADLINE_S: Final = 60
"""For a head, the wait before it included; a body is looked at as often."""


class RelayChannel(HTTPChannel):
    """One connection of a client or an agent."""

    site: Any
    _is_leaving = False
    _is_lost = False

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered, or the last answer has not left."""
        if self._is_lost or self.transport is None:  # which is None once it carries a tunnel
            return False
        return self._is_leaving or any(hasattr(one, "body_in") for one in self.requests)

    def make_last(self) -> None:
        """Close the connection after the request that is being answered, if there is one."""
        if self.requests:
            self.persistent = False
            for request in self.requests:
                if not request.startedWriting:
                    request.setHeader(b"connection", b"close")

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        if self.site.draining.is_on:
            request.setHeader(b"connection", b"close")
            return False
        return bool(super().checkPersistence(request, version))

    def loseConnection(self) -> None:
        self._is_leaving = True
        super().loseConnection()

    def lineReceived(self, line: bytes) -> None:
        if line[:1] in (b" ", b"\t"):  # a folded field (RFC 9112, section 5.2)
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what is no HTTP; a request that was answered from its head has its answer."""
        if self.requests and self.requests[-1].startedWriting:
            self.loseConnection()
        else:
            super()._respondToBadRequestAndDisconnect()

    def resetTimeout(self) -> None:
        """Let the time run on: it is set for a whole head, or a part of a body."""

    def timeoutConnection(self) -> None:
        body = getattr(self.requests[-1], "body_in", None) if self.requests else None
        if body is not None and body.keeps_pace():
            self.setTimeout(DEADLINE_S)
            return
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._is_lost = True
        self.unregisterProducer()
        self.requests.clear()  # they know us: so they are freed at once
