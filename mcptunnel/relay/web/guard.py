"""Which names the relay answers to, and which browser pages may call it (DNS rebinding).

A missing Origin means that no browser page is calling. Host is compared by name, without a port.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Guard:
    """The allowed values; made once from the configuration."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(
        cls, public_url: str, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
    ) -> "Guard":
        """Allow what `public_url` says, and what is listed beside it."""
        own = _name(urlsplit(public_url).netloc.rpartition("@")[2])
        hosts = {own, *map(_name, allowed_hosts)}
        origins = {public_url.lower(), *(origin.lower() for origin in allowed_origins)}
        if own in LOOPBACK_NAMES:
            hosts |= LOOPBACK_NAMES
            parts = urlsplit(public_url)
            port = "" if parts.port is None else f":{parts.port}"
            origins |= {f"{parts.scheme}://{name}{port}" for name in LOOPBACK_NAMES}
        return cls(frozenset(hosts), frozenset(origins))

    def refusal(self, host: str | None, origin: str | None) -> tuple[int, str] | None:
        """Return the HTTP status and sentence that refuse a request, or None."""
        if host is None or _name(host) not in self.hosts:
            return 421, f"This relay does not answer to the host name {(host or '')[:100]!r}"
        if origin is not None and origin.lower() not in self.origins:
            return 403, "This origin may not call; add it to allowed_origins if it should"
        return None


def _name(host: str) -> str:
    """Return the name in a Host value, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
