"""Connections to addresses that were looked at before: a name is resolved once, and not again to connect."""

import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from mcptunnel.errors import McpTunnelError

MAX_ADDRESSES: Final = 16
MAX_THREADS: Final = 8
_MAX_TRIED: Final = 4


class Judge(Protocol):
    """Says whether all addresses of a name may be connected to (`auth.addresses.may_fetch_all`)."""

    def __call__(self, addresses: Collection[str], /) -> bool: ...


Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""The IP addresses of a name, as texts, best first; it may raise anything."""


class AddressRefusedError(McpTunnelError):
    """A name with an address that must not be connected to."""


def anywhere(_addresses: Collection[str], /) -> bool:
    """Allow all addresses: for servers that the operator has named."""
    return True


async def pinned_addresses(host: str, resolve: Resolver, judge: Judge) -> Sequence[str]:
    """Return the addresses of a host, which may be an address itself.

    Raises DNSLookupError without any, AddressRefusedError if `judge` does not let all of them pass.
    """
    try:
        addresses: Sequence[str] = (str(ip_address(host)),)
    except ValueError:
        addresses = tuple(await resolve(host))[:MAX_ADDRESSES]
    if not addresses:
        raise DNSLookupError(host)
    if not judge(addresses):
        raise AddressRefusedError("the name has an address that must not be connected to")
    return addresses


class SystemResolver:
    """Asks the system, in threads of its own.

    A name whose servers never answer holds a thread for longer than anybody waits. Such names are
    strangers' choice, so they must not take the threads that others need: these are few, and no
    program waits for them when it ends.
    """

    def __init__(self, reactor: Any, max_threads: int = MAX_THREADS) -> None:
        self._reactor = reactor
        self._free = max_threads

    def __call__(self, host: str) -> Deferred[Sequence[str]]:
        """Return the addresses of a name; fails with DNSLookupError, or another OSError."""
        if self._free <= 0:
            return fail(DNSLookupError("too many names are being looked up"))
        self._free -= 1
        found: Deferred[Sequence[str]] = Deferred()
        Thread(target=self._look_up, args=(host, found), daemon=True).start()
        return found

    def _look_up(self, host: str, found: Deferred[Sequence[str]]) -> None:
        result: Sequence[str] | Failure
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            result = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as error:
            result = Failure(DNSLookupError(str(error)))
        except UnicodeError:
            result = Failure(DNSLookupError("that is no name"))
        self._reactor.callFromThread(self._looked_up, found, result)

    def _looked_up(self, found: Deferred[Sequence[str]], result: Sequence[str] | Failure) -> None:
        self._free += 1
        if not found.called:  # nobody waits any more
            found.callback(result)


@implementer(IStreamClientEndpoint)
class PinnedEndpoint:
    """Makes one connection, to the first of some addresses that takes it, and counts what comes in.

    `tls` knows the name that the server has to prove. `timeout_s` is for all tries together.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Sequence[str],
        port: int,
        *,
        tls: IOpenSSLClientConnectionCreator | None,
        timeout_s: float,
        max_bytes: int,
    ) -> None:
        self._reactor = reactor
        self._addresses = addresses[:_MAX_TRIED]
        self._port = port
        self._tls = tls
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._connection: _Counted | None = None

    @property
    def is_overrun(self) -> bool:
        """Whether more came in than was allowed, because of which the connection was dropped."""
        return self._connection is not None and self._connection.left_bytes < 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Connect the factory's protocol (IStreamClientEndpoint)."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def close(self) -> None:
        """Drop the connection, if there is one, and wait until it is gone."""
        if self._connection is not None:
            await self._connection.gone()

    async def _connect(self, inner: IProtocolFactory) -> Any:
        factory = _CountedFactory(inner, self._max_bytes)
        failed: Exception = ConnectError()
        for address in self._addresses:
            try:
                made = await self._endpoint(address).connect(factory)
            except CancelledError:
                raise
            except (ConnectError, OSError) as error:
                failed = error
            else:
                self._connection = made
                return made.wrappedProtocol
        raise failed

    def _endpoint(self, address: str) -> Any:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        share_s = self._timeout_s / len(self._addresses)
        endpoint: Any = kind(self._reactor, address, self._port, timeout=share_s)
        return endpoint if self._tls is None else wrapClientTLS(self._tls, endpoint, self._reactor)


class _Counted(ProtocolWrapper):
    """A connection that is dropped when it brings more than it may: heads have no bound of their own."""

    factory: "_CountedFactory"

    def __init__(self, factory: "_CountedFactory", wrappedProtocol: Any) -> None:
        super().__init__(factory, wrappedProtocol)
        self.left_bytes = factory.max_bytes
        self._is_gone = False
        self._waiting: list[Deferred[None]] = []

    def dataReceived(self, data: bytes) -> None:
        self.left_bytes -= len(data)
        if self.left_bytes < 0:
            self.abortConnection()
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._is_gone = True
        for waiting in self._waiting:
            waiting.callback(None)

    async def gone(self) -> None:
        """Drop the connection; return once it is lost."""
        if not self._is_gone:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            self.abortConnection()
            await waiting


class _CountedFactory(WrappingFactory[_Counted]):
    protocol = _Counted
    noisy = False

    def __init__(self, inner: IProtocolFactory, max_bytes: int) -> None:
        super().__init__(inner)
        self.max_bytes = max_bytes

    def doStart(self) -> None:
        """Do nothing: Twisted's factory would only log that it starts."""

    def doStop(self) -> None:
        """Do nothing, as above."""
