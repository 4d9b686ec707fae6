"""Where requests come from: the peer, or what a proxy that is trusted says of it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from twisted.internet.address import IPv4Address as TcpAddress
from twisted.internet.address import IPv6Address as Tcp6Address
from twisted.internet.address import UNIXAddress
from twisted.web.http import Request

UNIX: Final = "unix"
"""How `trusted_proxies` names whoever connects over a Unix socket."""

UNKNOWN: Final = "unknown"
_MAX_HOPS: Final = 32


class ClientAddresses:
    """Answers which address a request comes from. `trusted` are networks, and `UNIX`.

    Proxies add to the end of X-Forwarded-For; what stands before the last one that is not trusted is
    anybody's invention.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        named = tuple(trusted)
        self._is_unix_trusted = UNIX in named
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(one) for one in named if one != UNIX
        )

    def of(self, request: Request) -> str:
        """Return the address, without a port, of whoever sent a request."""
        peer = request.getClientAddress()
        if isinstance(peer, UNIXAddress):
            return self._forwarded(request, UNKNOWN) if self._is_unix_trusted else UNKNOWN
        if not isinstance(peer, TcpAddress | Tcp6Address):
            return UNKNOWN
        if not self._is_trusted(_parsed(peer.host)):
            return peer.host
        return self._forwarded(request, peer.host)

    def _forwarded(self, request: Request, nearest: str) -> str:
        values = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        hops = b",".join(values).decode("latin-1").split(",")
        for hop in reversed(hops[-_MAX_HOPS:]):
            address = _parsed(hop.strip())
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(address):
                break
        return nearest

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
