"""The answer of the front, on its way to a client of the relay."""

from typing import Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mcptunnel.mcp.client_half.http import STREAM_HEADERS, Watcher
from mcptunnel.model import Headers
from mcptunnel.relay.web.answers import NO_CONTENT, send_body
from mcptunnel.relay.web.request import RelayRequest

_STREAM_FIELDS: Final = tuple((name.encode(), value.encode()) for name, value in STREAM_HEADERS)


@implementer(IPushProducer)
class Reply:
    """One request and its answer (`mcp.client_half.http.Http`).

    The connection tells it, as a producer of the answer, how fast the client reads.
    """

    __slots__ = ("_http", "_watcher", "headers", "method")

    def __init__(self, http: RelayRequest) -> None:
        self._http = http
        self._watcher: Watcher | None = None
        self.method: str = http.method.decode("ascii", "replace")
        self.headers = http.fields()

    def answer(self, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        http = self._http
        if body:
            send_body(http, status, body, headers=_encoded(headers))
            return
        http.setResponseCode(status)
        if status != NO_CONTENT:
            http.setHeader(b"content-length", b"0")
        http.finish()

    def start(self, headers: Headers = ()) -> None:
        http = self._http
        for name, value in _STREAM_FIELDS:
            http.setHeader(name, value)
        for name, value in _encoded(headers).items():
            http.setHeader(name, value)
        http.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        self._http.write(data)

    def write_soon(self, data: bytes) -> None:
        self._http.write_soon(data)

    def finish(self) -> None:
        self._http.unregisterProducer()
        self._http.finish()

    def watch(self, watcher: Watcher | None) -> None:
        self._watcher = watcher
        self._http.when_gone = None if watcher is None else self._gone
        self._http.when_access_ended = None if watcher is None else self._access_ended

    def _gone(self) -> None:
        if self._watcher is not None:
            self._watcher.client_gone()

    def _access_ended(self, is_revoked: bool) -> None:
        if self._watcher is not None:
            self._watcher.access_ended(is_revoked)

    def pauseProducing(self) -> None:
        if self._watcher is not None:
            self._watcher.client_slow(True)

    def resumeProducing(self) -> None:
        if self._watcher is not None:
            self._watcher.client_slow(False)

    def stopProducing(self) -> None:
        """Nothing to do: `when_gone` tells."""


def _encoded(headers: Headers) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in headers}
