"""Which addresses the relay may fetch client documents and keys from (threat 10): global unicast alone.

The tables are ours, from the IANA special-purpose registries (RFC 6890), so that they do not change
with Python. An IPv6 address that stands for an IPv4 address is judged as that one, or refused where
the way goes through somebody's relay (6to4, Teredo).
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_SPECIAL_V4: Final = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
_REFUSED_V4: Final = tuple(map(IPv4Network, _SPECIAL_V4.split()))
"""168.63.129.16 is the address under which Azure's machines reach their host."""

_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
"""Protocol assignments with Teredo, documentation (twice), 6to4."""

_V4_INSIDE: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4-mapped, and NAT64 (RFC 6052), which is how a machine without IPv4 reaches everyone else."""


def may_fetch(address: str) -> bool:
    """Tell whether an IP address, as a resolver gave it, is one that anybody on the Internet has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_global(parsed)


def may_fetch_all(addresses: Collection[str]) -> bool:
    """Tell whether every address of a name may be fetched from: one bad address spoils them all."""
    return bool(addresses) and all(map(may_fetch, addresses))


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None:
        return False
    if any(address in network for network in _V4_INSIDE):
        return _is_global(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)
