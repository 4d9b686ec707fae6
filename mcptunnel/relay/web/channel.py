"""HTTP/1.1 connections of the relay: stricter than twisted.web's, with deadlines that are absolute.

A head must be complete so many seconds after the connection, or the answer before it, was; a body
must keep a least pace. A byte now and then buys no time.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request

from mcptunnel.net.send import write_now

DEADLINE_S: Final = 60
"""For a head, the wait before it included; a body is looked at as often."""

_USUAL: Final = {
    spelling: name
    for name in (
        b"Accept",
        b"Accept-Encoding",
        b"Accept-Language",
        b"Authorization",
        b"Content-Type",
        b"Host",
        b"Last-Event-Id",
        b"Mcp-Method",
        b"Mcp-Name",
        b"Mcp-Protocol-Version",
        b"Mcp-Session-Id",
        b"Origin",
        b"User-Agent",
        b"X-Forwarded-For",
        b"X-Forwarded-Host",
        b"X-Forwarded-Proto",
    )
    for spelling in (name, name.lower(), name.replace(b"Mcp-", b"MCP-"))
}
"""Fields that every call brings, as they are spelled, and their names in twisted.web. None of them says
anything about the connection or where a body ends."""

_are_plain = re.compile(rb"[\t -~]*+(?:\r\n[\t -~]*+)*+").fullmatch
_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_DIGITS: Final = 18
"""Of a Content-Length."""


class RelayChannel(HTTPChannel):
    """One connection of a client or an agent.

    The fields of a head that came in one piece are taken at once, and the usual ones by a short way; all
    others by that of twisted.web, which comes to the same but costs several times as much.
    """

    site: Any
    _is_leaving = False
    _is_lost = False
    _peer: Any = None
    _host: Any = None
    _deadline_s: float | None = None
    _deadline_call: IDelayedCall | None = None
    _corked: list[bytes] | None = None

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

    def getPeer(self) -> Any:
        """Return the client's address: each request asks for both, and they stay what they are."""
        if self._peer is None:
            self._peer = super().getPeer()
        return self._peer

    def getHost(self) -> Any:
        """Return our own address."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        if self.site.draining.is_on:
            request.setHeader(b"connection", b"close")
            return False
        return bool(super().checkPersistence(request, version))

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Write a head in one piece: transports look at each of the forty that twisted.web gives them."""
        lines = [b"%b %b %b" % (version, code, reason)]
        lines += [
            b"%b: %b" % (name, value)
            for name, values in headers.getAllRawHeaders()
            for value in values
        ]
        self.write(b"\r\n".join((*lines, b"", b"")))

    def cork(self) -> None:
        """Keep what is written until `uncork`: so a head and its body leave in one piece."""
        self._corked = []

    def uncork(self) -> None:
        """Send what was kept, at once."""
        corked, self._corked = self._corked, None
        if corked:
            write_now(self.transport, corked)

    def write(self, data: bytes) -> None:
        if self._corked is None:
            super().write(data)
        else:
            self._corked.append(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        if self._corked is None:
            super().writeSequence(iovec)
        else:
            self._corked += iovec

    def loseConnection(self) -> None:
        self._is_leaving = True
        super().loseConnection()

    def lineReceived(self, line: bytes) -> None:
        if line[:1] in (b" ", b"\t"):  # a folded field (RFC 9112, section 5.2)
            self._respondToBadRequestAndDisconnect()
            return
        is_first = not self._receivedHeaderSize
        super().lineReceived(line)
        if is_first and "_command" in self.__dict__:  # it was a request line
            self._take_fields()

    def _take_fields(self) -> None:
        """Take all lines up to the empty one, if they are here."""
        end = self._buffer.find(_END_OF_HEAD)
        if self._buffer.startswith(b"\r\n") or not 0 < end <= self._fields_room:
            return  # there are none, or not all, or too many
        fields, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        self._receivedHeaderSize += end
        lines = fields.split(b"\r\n")
        is_plain = _are_plain(fields) and len(lines) <= self.maxHeaders
        found = self.requests[-1].requestHeaders._rawHeaders  # noqa: SLF001 - without its checks
        for line in lines:
            name, _, value = line.partition(b":")
            known = _USUAL.get(name) if is_plain else None
            if known is not None and known not in found:
                self._receivedHeaderCount += 1
                found[known] = [value.strip(b" \t")]
            elif not self._take_field(line):
                return

    def _take_field(self, line: bytes) -> bool:
        """Take a line in the way of twisted.web; False if the request was refused."""
        if line[:1] in (b" ", b"\t"):
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(self.headerReceived(line))

    @property
    def _fields_room(self) -> int:
        return int(self.totalHeadersSize) - int(self._receivedHeaderSize)

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        """Refuse a length that no body has, and a coding that others may read as none or as a wrong one.

        twisted.web would raise ValueError for more digits than Python reads.
        """
        if (header == b"Content-Length" and len(data) > _MAX_DIGITS) or (
            header == b"Transfer-Encoding" and data.lower() != b"chunked"
        ):
            return bool(self._failChooseTransferDecoder())
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what is no HTTP; a request that was answered from its head has its answer."""
        if self.requests and self.requests[-1].startedWriting:
            self.loseConnection()
        else:
            super()._respondToBadRequestAndDisconnect()

    def resetTimeout(self) -> None:
        """Let the time run on: it is set for a whole head, or a part of a body."""

    def setTimeout(self, period: int | None) -> int | None:
        """Set the deadline, or none. A timer stays until it is due: calls begin and end all the time."""
        before, self.timeOut = self.timeOut, period
        if period is None:
            self._deadline_s = None
            if self.transport is None:  # the connection carries a tunnel now
                self._stop_timer()
            return before
        self._deadline_s = self.site.reactor.seconds() + period
        waiting = self._deadline_call
        if waiting is None:
            self._deadline_call = self.callLater(period, self._look_at_deadline)
        elif waiting.getTime() > self._deadline_s:
            waiting.reset(period)
        return before

    def _look_at_deadline(self) -> None:
        self._deadline_call = None
        if self._deadline_s is None:
            return
        left_s = self._deadline_s - self.site.reactor.seconds()
        if left_s > 0:
            self._deadline_call = self.callLater(left_s, self._look_at_deadline)
        else:
            self._deadline_s = None
            self.timeoutConnection()

    def timeoutConnection(self) -> None:
        body = getattr(self.requests[-1], "body_in", None) if self.requests else None
        if body is not None and body.keeps_pace():
            self.setTimeout(DEADLINE_S)
            return
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def _stop_timer(self) -> None:
        if self._deadline_call is not None:
            self._deadline_call.cancel()
            self._deadline_call = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._stop_timer()
        self._is_lost = True
        self.unregisterProducer()
        self.requests.clear()  # they know us: so they are freed at once
