"""Small answers from other servers: a sign-in provider's, and clients' documents and keys (threat 10).

Nothing that a browser would do for its user: no redirects, cookies, proxies or decompression, and no
connection is used twice. A name is resolved once, its addresses are judged, and one of those is
connected to; the certificate has to be the name's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol as BodyProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from mcptunnel.auth.urls import DEFAULT_PORTS, split_url
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.errors import ConnectFailed
from mcptunnel.net.pinning import Judge, PinnedEndpoint, Resolver, SystemResolver, pinned_addresses
from mcptunnel.net.trust import tls_policy

MAX_HEAD_BYTES: Final = 64 * 1024
"""For heads, and for what chunks cost, beside the body."""


class FetchError(McpTunnelError):
    """Nothing that can be used came back.

    `str()` is the same for all reasons, since it may reach strangers; `detail` is for the log.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("Nothing could be fetched from there")
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`timeout_s` is for all of it: name, connection, TLS, head and body."""

    max_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer with a status other than 3xx; `media_type` is in lower case, "" if there is none.

    `retry_after_s` is its Retry-After if that is a number of seconds.
    """

    status: int
    media_type: str
    body: bytes = field(repr=False)
    cache_control: str | None = None
    retry_after_s: float | None = None

    @property
    def is_json(self) -> bool:
        """Whether the body says to be JSON (RFC 6839, 3.1)."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")


class Fetches(Protocol):
    """What fetches, as those see it who need answers (`Fetcher`). Raises FetchError."""

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched: ...

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched: ...


class Fetcher:
    """Fetches from wherever `judge` lets it.

    `resolve` is the system's resolver if None. Only the certificate authorities of `ca_file` are
    trusted, if there is one; raises `net.trust.CaFileError`.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        judge: Judge,
        resolve: Resolver | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._reactor = reactor
        self._judge = judge
        self._resolve = resolve or SystemResolver(reactor)
        self._policy = tls_policy(ca_file)
        self._running: set[Deferred[Fetched]] = set()
        self._is_stopped = False
        self._idle: list[Deferred[None]] = []

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """Return the answer to a GET. Raises FetchError."""
        return await self._fetch("GET", url, limits, headers or {}, None)

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Return the answer to a form that is sent, once. Raises FetchError."""
        return await self._fetch("POST", url, limits, headers or {}, form)

    async def stop(self) -> None:
        """Drop all connections, and return when they are gone; who still waits gets a FetchError."""
        self._is_stopped = True
        for running in list(self._running):
            running.cancel()
        if self._running:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    async def _fetch(
        self,
        method: str,
        url: str,
        limits: Limits,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
    ) -> Fetched:
        self._refuse_if_stopped()
        exchange = _Exchange(method, url, limits, headers, form)
        running = Deferred.fromCoroutine(self._exchange(exchange))
        running.addTimeout(limits.timeout_s, self._reactor, _too_slow)
        self._running.add(running)
        try:
            return await running
        except CancelledError:
            self._refuse_if_stopped()
            raise
        finally:
            self._running.discard(running)
            while self._idle and not self._running:
                self._idle.pop().callback(None)

    def _refuse_if_stopped(self) -> None:
        if self._is_stopped:
            raise FetchError("the program stops")

    async def _exchange(self, exchange: "_Exchange") -> Fetched:
        endpoint = None
        try:
            endpoint = await self._endpoint(exchange)
            return await exchange.run(self._reactor, endpoint)
        except FetchError:
            raise
        except Exception as error:
            reason = _innermost(error)
            if isinstance(reason, CancelledError):
                raise CancelledError from None
            if endpoint is not None and endpoint.is_overrun:
                raise FetchError(f"{exchange.where}: the answer is too large") from error
            raise FetchError(_told(exchange.where, reason)) from error
        finally:
            if endpoint is not None:
                await endpoint.close()

    async def _endpoint(self, exchange: "_Exchange") -> PinnedEndpoint:
        host, port = exchange.host, exchange.port
        addresses = await pinned_addresses(host, self._resolve, self._judge)
        tls = self._policy.creatorForNetloc(host.encode(), port) if exchange.is_secure else None
        return PinnedEndpoint(
            self._reactor,
            addresses,
            port,
            tls=tls,
            timeout_s=exchange.limits.timeout_s,
            max_bytes=exchange.limits.max_bytes + MAX_HEAD_BYTES,
        )


class _Exchange:
    """One request and its answer. Raises FetchError for a URL that cannot be asked."""

    def __init__(
        self,
        method: str,
        url: str,
        limits: Limits,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
    ) -> None:
        parts = split_url(url)
        if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.host:
            raise FetchError("that is no URL to fetch")
        self.is_secure = parts.scheme == "https"
        self.host = parts.host.strip("[]").removesuffix(".")
        self.port = parts.port or DEFAULT_PORTS[parts.scheme]
        self.where = f"{parts.host}:{self.port}"
        self.limits = limits
        self._method = method
        self._url = url
        self._form = form
        self._headers = Headers({"Accept": ["application/json"], "User-Agent": ["mcptunnel"]})
        for name, value in headers.items():
            self._headers.setRawHeaders(name, [value])

    async def run(self, reactor: Any, endpoint: PinnedEndpoint) -> Fetched:
        """Send the request and return the answer; the connection is the caller's to close."""
        client = HTTPClient(_Plain(Agent.usingEndpointFactory(reactor, _Only(endpoint))))
        response: Any = await client.request(
            self._method,
            self._url,
            headers=self._headers,
            data=None if self._form is None else dict(self._form),
            allow_redirects=False,
            unbuffered=True,
            reactor=reactor,
        )
        if HTTPStatus.MULTIPLE_CHOICES <= response.code < HTTPStatus.BAD_REQUEST:
            to = _where_to(_field(response.headers, "location"))
            raise FetchError(f"{self.where}: a redirect{to}, which is not followed")
        body = _Body(self.limits.max_bytes, self.where)
        response.deliverBody(body)
        return Fetched(
            status=response.code,
            media_type=_field(response.headers, "content-type").partition(";")[0].strip().lower(),
            body=await body.whole,
            cache_control=_field(response.headers, "cache-control") or None,
            retry_after_s=_seconds(_field(response.headers, "retry-after").strip()),
        )


class _Body(BodyProtocol):
    """Gathers a body, up to a bound."""

    def __init__(self, max_bytes: int, where: str) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._left_bytes = max_bytes
        self._where = where

    def dataReceived(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes >= 0:
            self._parts.append(data)
        elif not self.whole.called:
            self.whole.errback(FetchError(f"{self._where}: the answer is too large"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)


@implementer(IAgent)
class _Plain:
    """Asks for a body as it is, and takes no other: what is small on the way may be endless unpacked."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        plain = Headers() if headers is None else headers.copy()
        plain.setRawHeaders("Accept-Encoding", ["identity"])
        asked = self._agent.request(method, uri, plain, bodyProducer)
        return asked.addCallback(_refuse_encoded)


@implementer(IAgentEndpointFactory)
class _Only:
    """The one endpoint, whatever the URL says."""

    def __init__(self, endpoint: PinnedEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> PinnedEndpoint:
        return self._endpoint


def _refuse_encoded(response: IResponse) -> IResponse:
    encoding = _field(response.headers, "content-encoding").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchError("the answer is compressed, though nobody asked for that")
    return response


def _field(headers: Headers, name: str) -> str:
    return ",".join(headers.getRawHeaders(name, []))


def _where_to(location: str) -> str:
    """Return to which other server a redirect leads, for people; "" for a path or no URL."""
    url = split_url(location)
    return f" to {url.origin}" if url is not None and url.host else ""


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _too_slow(result: Any, timeout_s: float) -> Any:
    if isinstance(result, Failure) and result.check(CancelledError):
        raise FetchError(f"no answer within {timeout_s:g} s") from None
    return result


def _innermost(error: BaseException) -> BaseException:
    """Return the reason of a failed request: Twisted packs them into one another."""
    while reasons := getattr(error, "reasons", None):
        error = reasons[0].value
    return error


def _told(where: str, reason: BaseException) -> str:
    if isinstance(reason, McpTunnelError):
        return f"{where}: {reason}"
    return str(ConnectFailed.because(where, reason))
