"""Where the browser comes back to: a port of this machine that answers once (RFC 8252, 7.3 and 8.3)."""

import hmac
from html import escape
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mcptunnel.agent.sign_in.answers import RefusedError
from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import Parameters, parse_parameters
from mcptunnel.errors import McpTunnelError

PATH: Final = "/callback"
HOST: Final = "127.0.0.1"
_MAX_SHOWN_CHARS: Final = 200
_REQUEST_S: Final = 30
LEAVING_S: Final = 2.0
"""So long a browser has to take the last page."""

_HEADERS: Final = {
    b"content-type": b"text/html; charset=utf-8",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'none'",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"connection": b"close",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


class MixUpError(McpTunnelError):
    """The answer to this sign-in came from another server than the one that was asked (RFC 9207)."""


class Arrival:
    """The browser, which waits for a page while the code is exchanged. `code` is what it brought."""

    def __init__(self, code: str, request: Request) -> None:
        self.code = code
        self._request = request

    def show(self, title: str, text: str) -> None:
        """Show the page that ends the sign-in, unless the browser has gone."""
        # A request whose connection is lost has no channel any more.
        if self._request.channel is not None:
            _send(self._request, 200, title, text)


class RedirectPort:
    """Listens on a free port of the loopback for the answer with this `state`, from this `issuer`."""

    def __init__(self, reactor: Any, *, state: str, issuer: str) -> None:
        self.arrived: Deferred[Arrival] = Deferred()
        """Fires once; fails with RefusedError or MixUpError."""
        self._reactor = reactor
        self._connections: Any = WrappingFactory(_SilentSite(_Callback(self), timeout=_REQUEST_S))
        self._connections.noisy = False
        self._port: Any = reactor.listenTCP(0, self._connections, interface=HOST)
        self._closed: Deferred[None] | None = None
        self._state = state
        self._issuer = issuer
        self.authority = f"{HOST}:{self._port.getHost().port}"
        self.redirect_uri = f"http://{self.authority}{PATH}"

    async def close(self) -> None:
        """Listen no longer, and return when the last page has been sent, or cannot be."""
        self._stop_listening()
        if self._closed is not None:
            await self._closed
        end_s = self._reactor.seconds() + LEAVING_S
        while self._connections.protocols and self._reactor.seconds() < end_s:
            await deferLater(self._reactor, 0.01)
        for connection in list(self._connections.protocols):
            connection.abortConnection()

    def _stop_listening(self) -> None:
        if self._closed is None:
            self._closed = maybeDeferred(self._port.stopListening)

    def take(self, request: Request) -> None:
        """Take the browser's request, and no further one. A stranger's changes nothing."""
        try:
            parameters = parse_parameters(request.uri.partition(b"?")[2])
            state = parameters.get("state") or ""
        except OAuthError:
            parameters, state = Parameters({}), ""
        if self.arrived.called or not hmac.compare_digest(state.encode(), self._state.encode()):
            text = "This page belongs to no sign-in that is going on. Nothing has happened."
            _send(request, 400, "That was not expected", text)
            return
        self._stop_listening()
        try:
            code = self._code(parameters)
        except (RefusedError, MixUpError, OAuthError) as error:
            text = f"{error}. You can close this window."
            _send(request, 200, "Nobody was signed in", text)
            self.arrived.errback(error)
            return
        self.arrived.callback(Arrival(code, request))

    def _code(self, parameters: Parameters) -> str:
        """Return the code. Raises RefusedError, MixUpError, OAuthError."""
        if parameters.get("iss") != self._issuer:
            raise MixUpError("The answer did not come from the relay that was asked")
        error = parameters.get("error")
        if error is not None:
            described = clean_text(parameters.get("error_description"), _MAX_SHOWN_CHARS)
            raise RefusedError(clean_text(error, _MAX_SHOWN_CHARS), described.rstrip("."))
        code = parameters.get("code")
        if code is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "The answer has no code")
        return code


class _Callback(Resource):
    """All paths, of which one is there."""

    isLeaf = True

    def __init__(self, port: RedirectPort) -> None:
        super().__init__()
        self._port = port

    def render(self, request: Request) -> int:
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        path = request.uri.partition(b"?")[0]
        # Another name in Host is a page elsewhere that rebinds its name to us.
        if hosts != [self._port.authority.encode()] or path != PATH.encode():
            _send(request, 404, "There is nothing here", "A sign-in of mcptunnel waits here.")
        elif request.method != b"GET":
            _send(request, 405, "That was not expected", "This page is only shown.")
        else:
            self._port.take(request)
        return NOT_DONE_YET


class _SilentSite(Site):
    """Logs nothing: there is a code in the URL."""

    noisy = False

    def log(self, request: Any) -> None:
        """Do nothing."""


def _send(request: Request, status: int, title: str, text: str) -> None:
    request.setResponseCode(status)
    for name, value in _HEADERS.items():
        request.setHeader(name, value)
    request.write(_PAGE.format(title=escape(title), text=escape(text)).encode())
    request.finish()
