"""URLs that strangers give us, read strictly (RFC 3986): what two parsers could read differently is refused."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
"""The hosts of RFC 8252, section 7.3, and the name that clients use instead of them."""

_CHARS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PARTS: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?"
)
_AUTHORITY: Final = re.compile(r"(?:(.*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*)(?::([0-9]{0,5}))?")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL. Scheme and host are lower case, IPv6 hosts keep their brackets; None is absent."""

    scheme: str
    host: str | None
    port: int | None
    path: str
    query: str | None
    fragment: str | None
    has_userinfo: bool

    @property
    def origin(self) -> str:
        """`scheme://host[:port]` without the scheme's own port."""
        shown = "" if self.port in (None, DEFAULT_PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme}://{self.host}{shown}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is one of `LOOPBACK_HOSTS`."""
        return self.host in LOOPBACK_HOSTS


def split_url(text: str, *, max_chars: int = 2048) -> Url | None:
    """Return the parts of an absolute URL in ASCII, or None when it is none or is ambiguous."""
    if len(text) > max_chars or not _CHARS.fullmatch(text) or _BAD_ESCAPE.search(text):
        return None
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    scheme, authority, path, query, fragment = match.groups()
    host, port, has_userinfo = None, None, False
    if authority is not None:
        inside = _AUTHORITY.fullmatch(authority)
        if inside is None:
            return None
        host = _host(inside[2].lower())
        port = int(inside[3]) if inside[3] else None
        has_userinfo = inside[1] is not None
        if host is None or (port is not None and not 0 < port <= _MAX_PORT):
            return None
    return Url(scheme.lower(), host, port, path, query, fragment, has_userinfo)


def is_ip_address(host: str) -> bool:
    """Tell whether a host is an address, also in the odd spellings that some resolvers take (RFC 3986, 7.4)."""
    last = host.rstrip(".").rpartition(".")[2]
    return host.startswith("[") or last.isdigit() or last.startswith("0x")


def _host(host: str) -> str | None:
    """Return a host in its one spelling, "" if there is none, or None if it is not valid."""
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    if not host or all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
        return host
    return None
