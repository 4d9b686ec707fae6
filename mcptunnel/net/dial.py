"""The agent's end of a link: a relay's URL is read and dialled."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.python.failure import Failure

from mcptunnel.net.errors import ConnectFailed
from mcptunnel.net.link import Link, LinkReceiver
from mcptunnel.net.websocket import MAX_MESSAGE_BYTES, ClientProtocol, opening_handshake

CONNECT_TIMEOUT_S: Final = 10.0

_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where a link is dialled to. `resource` is path and query."""

    is_secure: bool
    host: str
    port: int
    resource: str

    @classmethod
    def parse(cls, url: str) -> "LinkAddress":
        """Read an http, https, ws or wss URL. Raises ValueError; its text never holds the URL."""
        parts = urlsplit(url)
        is_secure = _SCHEMES.get(parts.scheme)
        resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if is_secure is None or not parts.hostname or not re.fullmatch("/[!-~]*", resource):
            raise ValueError("that is no URL of a WebSocket")
        if parts.username is not None:
            raise ValueError("a URL must not carry a credential")
        return cls(is_secure, parts.hostname, parts.port or (443 if is_secure else 80), resource)

    def __str__(self) -> str:
        """Return `host:port`, with brackets around an IPv6 address."""
        return f"{self.host_field}:{self.port}"

    @property
    def host_field(self) -> str:
        """The host as URLs and the Host header have it."""
        return f"[{self.host}]" if ":" in self.host else self.host


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError for a header field that would break an HTTP request (RFC 9110, 5.1, 5.5)."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search("[\r\n\0]", value):
            raise ValueError(f"the header {name!r} cannot be sent")


class _Dialling(Factory):
    """Makes a protocol for each TCP connection: the addresses of a host race."""

    noisy = False

    def __init__(self, address: LinkAddress, make: Callable[[], ClientProtocol]) -> None:
        self._address = address
        self._make = make
        self._protocol: ClientProtocol | None = None

    def buildProtocol(self, _address: object) -> Any:
        self._protocol = self._make()
        return self._protocol

    def timed_out(self, timeout_s: float) -> ConnectFailed:
        """Return the error that says how far it came."""
        reached = "no connection" if self._protocol is None else "connected, but no answer"
        return self.with_hint(ConnectFailed(f"{self._address}: {reached} within {timeout_s:g} s"))

    def with_hint(self, failure: ConnectFailed) -> ConnectFailed:
        """Return the error with what may help, if TLS was spoken to what does not speak it."""
        protocol = self._protocol
        if not self._address.is_secure or protocol is None:
            return failure
        if protocol.is_encrypted or failure.speaks_tls:
            return failure
        return ConnectFailed(
            f"{failure}. Does the relay speak https there? If not, write http://{self._address}"
        )


async def connect(
    url: str,
    *,
    receiver: LinkReceiver,
    reactor: Any,
    headers: Mapping[str, str],
    timeout_s: float = CONNECT_TIMEOUT_S,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    tls_options: IOpenSSLClientConnectionCreator | None = None,
) -> Link:
    """Dial a relay and return the link; the receiver has heard `link_made` by then.

    `url` is http, https, ws or wss. `timeout_s` is for everything: name, TCP, TLS and handshake.
    `tls_options` replaces `optionsForClientTLS(host)`, as for a private authority.

    Raises ConnectFailed (temporary), UpgradeRefused (an HTTP answer), and ValueError for a URL or
    header that cannot be used. Cancelling drops the connection; the receiver hears nothing then.
    """
    address = LinkAddress.parse(url)
    check_headers(headers)
    handshake = opening_handshake(address.host_field, address.port, address.resource, headers)

    def make() -> ClientProtocol:
        return ClientProtocol(receiver, reactor, max_message_bytes, handshake)

    def timed_out(result: Any, _timeout_s: float) -> Any:
        if isinstance(result, Failure) and isinstance(result.value, CancelledError):
            raise dialling.timed_out(timeout_s)
        return result

    endpoint: Any = HostnameEndpoint(reactor, address.host, address.port, timeout=timeout_s)
    if address.is_secure:
        options = tls_options or optionsForClientTLS(address.host)
        endpoint = wrapClientTLS(options, endpoint, clock=reactor)
    dialling = _Dialling(address, make)
    attempt = Deferred.fromCoroutine(_attempt(endpoint, dialling, address))
    attempt.addTimeout(timeout_s, reactor, timed_out)
    return await attempt


async def _attempt(endpoint: Any, dialling: _Dialling, address: LinkAddress) -> Link:
    try:
        protocol: Any = await endpoint.connect(dialling)
    except ConnectingCancelledError:
        raise CancelledError from None
    except (ConnectError, OSError, ValueError) as error:
        raise ConnectFailed.because(str(address), error) from error
    try:
        link: Link = await protocol.opening.opened()
    except ConnectFailed as failure:
        raise dialling.with_hint(failure) from failure
    return link
