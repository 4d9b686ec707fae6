"""HTTP requests of the relay: answered from the head on, with the body only if somebody wants it.

A request is rendered as soon as its head is complete. Until somebody takes the body, with `read_body`
or `body_in.hand_to`, the connection is not read on; if the answer is complete before the body is,
what is left of it is thrown away as it arrives.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from math import inf
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from weakref import WeakSet

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HTTPRequest
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from mcptunnel.model import Headers
from mcptunnel.relay.access import Access
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.in_use import InUse
from mcptunnel.relay.web.answers import error_body, send_body
from mcptunnel.relay.web.bodies import HeldBodies
from mcptunnel.relay.web.body import IncomingBody
from mcptunnel.relay.web.channel import DEADLINE_S, RelayChannel
from mcptunnel.relay.web.realm import Realm

BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
CONTENT_TOO_LARGE: Final = 413
UNAVAILABLE: Final = 503

DISCARD_FACTOR: Final = 16
"""A body that nobody wants is read on, so that the client gets to hear the answer, but only up to so
many times the largest one that is read into memory."""

_NAMES_CACHED: Final = 256
_DATE_S: Final = 1.0
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}

_log = Logger()


@lru_cache(_NAMES_CACHED)
def _field_name(name: bytes) -> str:
    return name.decode("ascii", "replace").lower()


class RelayRequest(Request):
    """A request whose body is `body_in`.

    `when_gone`, if set, is called once when the client closes the connection before the answer is
    complete. `when_access_ended`, if set, is called when its access ends, with whether it was revoked
    (`in_use.Work`); if so, an answer that is not complete after that is broken off. `refuse_with`, if
    set, says in place of JSON-RPC why there is no answer: request, status, sentence, header fields.
    """

    when_gone: Callable[[], None] | None = None
    when_access_ended: Callable[[bool], None] | None = None
    refuse_with: "Callable[[RelayRequest, int, str, Mapping[bytes, bytes]], object] | None" = None
    body_in: IncomingBody
    held_bytes = 0
    _then: Callable[[bytes], object] | None = None
    _in_use: InUse | None = None
    _writing_soon: IDelayedCall | None = None

    __hash__ = object.__hash__  # what twisted.web's says, and much faster

    def __init__(
        self, channel: Any, *args: Any, max_body_bytes: int, bodies: HeldBodies, **kwargs: Any
    ) -> None:
        super().__init__(channel, *args, **kwargs)
        self.max_body_bytes = max_body_bytes
        self._bodies = bodies
        self._soon: list[bytes] = []

    # Whose it is.

    def let_in(self, access: Access, in_use: InUse) -> None:
        """Note that it is answered on the strength of an access, up to the end of the answer."""
        in_use.begin(access, self)
        self._in_use = in_use

    def let_go(self) -> None:
        """Note that what becomes of the connection is no longer this request."""
        in_use, self._in_use = self._in_use, None
        if in_use is not None:
            in_use.over(self)

    def access_ended(self, *, is_revoked: bool) -> None:
        """Break off, unless who answers ends it in order."""
        if self.when_access_ended is not None:
            self.when_access_ended(is_revoked)
        if not is_revoked or self._in_use is None:
            return
        if self.startedWriting or self._soon:
            self.abort()
        else:
            site: Any = self.site
            challenge = site.realm.unauthorized(self.path, token_presented=True)
            headers = {b"www-authenticate": challenge, b"cache-control": b"no-store"}
            self._refuse(UNAUTHORIZED, "The access was revoked", headers)

    # For the endpoints.

    def read_body(self, then: Callable[[bytes], object]) -> None:
        """Read the whole body into memory and give it to `then`, perhaps at once.

        One that is too large, or has no room beside the others, is refused; then `then` is never
        called, and neither is it if the client goes away. An exception out of it is logged, and the
        client told.
        """
        self._then = then
        body = self.body_in
        if body.is_complete:
            self._hand_over(then)
        elif (body.length_bytes or 0) > self.max_body_bytes:
            self._refuse_too_large()
        else:
            body.keep()

    def failed(self) -> None:
        """Log the exception that is being handled, and tell the client if that is still possible."""
        _log.failure("cannot answer {path}", path=self.path)
        if self.startedWriting or self._soon:
            self.loseConnection()
        elif not self._disconnected:
            self._say(500, -32603, "Internal error", {})

    def write_soon(self, data: bytes) -> None:
        """Write at the start of the next turn, in one piece with all else that comes until then.

        The connection could not take it earlier, either. A `write` takes it along.
        """
        channel: Any = self.channel
        if channel is not None:
            if self._writing_soon is None:
                self._writing_soon = channel.callLater(0, self._write_late)
            self._soon.append(data)

    def abort(self) -> None:
        """Drop the connection: so the client sees that the answer is not whole."""
        channel: Any = self.channel
        if channel is not None:
            channel.transport.abortConnection()

    def fields(self) -> Headers:
        """Return the header fields, names in lower case."""
        found = [
            (_field_name(name), value.decode("utf-8", "replace"))
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        ]
        return tuple(found)

    # What the connection tells us.

    def gotLength(self, length: int | None) -> None:
        """Answer: the head is complete, and the channel tells of it only after the body."""
        channel: Any = self.channel
        self.method, self.uri, self.clientproto = channel._command, channel._path, channel._version  # noqa: SLF001 - there is no other way
        self.path = self.uri.partition(b"?")[0]
        self.args = {}
        body = IncomingBody(channel, length, wants_continue=self._take_expectation())
        self.body_in = body
        if length != 0:
            channel.setTimeout(DEADLINE_S)
        self.queued = True  # a finished answer waits for the end of the body; see `requestReceived`
        if self._has_one_host():
            self.process()
        else:
            send_body(self, BAD_REQUEST, error_body(-32600, "A request names one Host"))
        body.wait_until_wanted()

    def process(self) -> None:
        """Let the resource at our path answer: what twisted.web does, without what no resource here wants."""
        if self.path == b"*":
            super().process()
            return
        channel: Any = self.channel
        self.site = site = channel.site
        self.responseHeaders.setRawHeaders(b"Date", [site.date()])
        self.prepath, self.postpath = [], list(map(unquote_to_bytes, self.path[1:].split(b"/")))
        try:
            self.render(site.getResourceFor(self))
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            self.processingFailed(Failure())

    def handleContentChunk(self, data: bytes) -> None:
        body = self.body_in
        body.received(data)
        if not body.is_held:
            self._bodies.released(self)
            return
        if body.received_bytes == body.length_bytes:
            return  # it is complete, and counts no longer
        self._bodies.grew(self, len(data))
        if self._then is not None and body.received_bytes > self.max_body_bytes:
            self._refuse_too_large()

    def requestReceived(self, _command: bytes, _path: bytes, _version: bytes) -> None:
        """The body is complete: finish an answer that is, or go on."""
        self.queued = False
        self._bodies.released(self)
        if self.finished:
            self._cleanup()
            return
        self.body_in.ended()
        if self._then is not None:
            self._hand_over(self._then)

    def connectionLost(self, reason: Failure) -> None:
        when_gone, self.when_gone = self.when_gone, None
        self._then = self.when_access_ended = self.refuse_with = None
        self.let_go()
        self._bodies.released(self)
        self._take_soon()
        super().connectionLost(reason)
        self.producer = None  # it knows us, too
        if when_gone is not None:
            when_gone()

    # The answer.

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        super().setResponseCode(code, message or _PHRASES.get(code))

    def write(self, data: bytes) -> None:
        if not self.startedWriting and self.queued and self._may_stay_unread():
            self._make_last()
        if self._soon:
            data = b"".join((*self._take_soon(), data))
        if self.startedWriting:
            super().write(data)
        else:
            self._write_at_once(data)

    def finish(self) -> None:
        if self._soon:
            self.write(b"")
        self.when_access_ended = None
        self.let_go()
        super().finish()
        if self.queued:
            self._then = None
            self._bodies.released(self)
            self.body_in.drop_rest(DISCARD_FACTOR * self.max_body_bytes)

    def give_way(self) -> None:
        """Refuse the body: there is no room for it (`bodies.Holder`)."""
        message = "The relay is reading too many large requests at once"
        self._refuse(UNAVAILABLE, message, {b"retry-after": b"5"})

    def _may_stay_unread(self) -> bool:
        """Whether the rest of the body may never come, or is too much to be read."""
        body = self.body_in
        return body.wants_continue or (
            body.is_held and (body.length_bytes or 0) > self.max_body_bytes
        )

    def _make_last(self) -> None:
        """Let the connection end after this answer: what follows it need not be a request."""
        self.setHeader(b"connection", b"close")
        self.channel.persistent = False

    def _refuse_too_large(self) -> None:
        text = f"The request body is larger than {self.max_body_bytes} bytes"
        self._refuse(CONTENT_TOO_LARGE, text)

    def _refuse(self, status: int, message: str, headers: dict[bytes, bytes] | None = None) -> None:
        """Answer in place of whoever wanted the body, or is still looking at the head."""
        when_gone, self.when_gone = self.when_gone, None
        if when_gone is not None:
            when_gone()
        self._make_last()
        self._say(status, -32600, message, headers or {})

    def _say(self, status: int, code: int, message: str, headers: Mapping[bytes, bytes]) -> None:
        """Answer with an error, in the way of whoever answers at this path."""
        if self.refuse_with is None:
            send_body(self, status, error_body(code, message), headers=headers)
        else:
            self.refuse_with(self, status, message, headers)

    # The parts.

    def _write_late(self) -> None:
        self._writing_soon = None
        if self.startedWriting:
            self._write_at_once(b"".join(self._take_soon()))
        else:
            self.write(b"")

    def _write_at_once(self, data: bytes) -> None:
        """Write without waiting for the next turn: an answer mostly fits into the socket."""
        channel: Any = self.channel
        if channel is None:
            super().write(data)
            return
        channel.cork()
        try:
            super().write(data)
        finally:
            channel.uncork()

    def _take_soon(self) -> list[bytes]:
        soon, self._soon = self._soon, []
        if self._writing_soon is not None:
            self._writing_soon.cancel()
            self._writing_soon = None
        return soon

    def _take_expectation(self) -> bool:
        """Return whether the client waits for `100 Continue`; the channel will not send it."""
        values = self.requestHeaders.getRawHeaders(b"expect")
        if values is None:
            return False
        self.requestHeaders.removeHeader(b"expect")
        return values[0].lower() == b"100-continue" and self.clientproto == b"HTTP/1.1"

    def _has_one_host(self) -> bool:
        """Whether Host is there once (RFC 9112, section 3.2)."""
        values = self.requestHeaders.getRawHeaders(b"host")
        count = 0 if values is None else len(values)
        return count == 1 or (count == 0 and self.clientproto != b"HTTP/1.1")

    def _hand_over(self, then: Callable[[bytes], object]) -> None:
        self._then = None
        try:
            then(self.body_in.whole())
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            self.failed()


class RelaySite(Site):
    """A site for such requests, without form parsing and access log."""

    noisy = False
    protocol: Any = RelayChannel

    def __init__(
        self,
        resource: IResource,
        max_body_bytes: int,
        reactor: IReactorTime,
        draining: Draining,
        realm: Realm | None = None,
    ) -> None:
        super().__init__(
            resource, timeout=DEADLINE_S, reactor=reactor, parsePOSTFormSubmission=False
        )
        self.draining = draining
        self.realm = realm or Realm()
        self.channels: WeakSet[RelayChannel] = WeakSet()
        self.bodies = HeldBodies()
        factory: Any = partial(RelayRequest, max_body_bytes=max_body_bytes, bodies=self.bodies)
        self.requestFactory = factory
        self._date, self._date_s = b"", -inf

    def drain(self) -> None:
        """Close every connection after the answer that is being given on it."""
        for channel in self.channels:
            channel.make_last()

    @property
    def answering_count(self) -> int:
        """On how many connections an answer is being given, up to its last byte."""
        return sum(channel.is_answering for channel in self.channels)

    def date(self) -> bytes:
        """Return the value of Date, made once a second."""
        now_s = self.reactor.seconds()
        if not 0 <= now_s - self._date_s < _DATE_S:
            self._date, self._date_s = datetimeToString(), now_s
        return self._date

    def logPrefix(self) -> str:
        return "relay"

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone: tunnels start with it."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """Write no access log; what matters is logged where it happens."""
