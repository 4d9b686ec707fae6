"""Which URLs of strangers the relay may fetch (threat 10). The addresses behind them: `addresses`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from mcptunnel.auth.urls import is_ip_address, split_url

MAX_FETCHED_URL_CHARS: Final = 512
_HTTPS_PORT: Final = 443
_LOCAL_SUFFIXES: Final = ("localhost", "local", "internal", "home.arpa", "onion", "test", "invalid")


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Which hosts may be fetched from: `name` is that host, `.name` all below it too. Refusing wins."""

    allowed: Collection[str] = ()
    refused: Collection[str] = ()

    def permits(self, host: str) -> bool:
        """Tell whether a host may be fetched from; without `allowed`, all that are not refused."""
        if _is_among(host, self.refused):
            return False
        return not self.allowed or _is_among(host, self.allowed)


def fetch_fault(text: str, policy: HostPolicy | None = None) -> str | None:
    """Return why a URL must not be fetched, as a sentence, or None when it may be tried.

    https on port 443, a host with a public name, a path without dot segments, and nothing more.
    """
    url = split_url(text, max_chars=MAX_FETCHED_URL_CHARS)
    if url is None or url.scheme != "https" or not url.host:
        return "The URL is not an https URL"
    if url.has_userinfo or url.fragment is not None or url.query is not None:
        return "The URL has a user name, a query or a fragment"
    if url.port not in (None, _HTTPS_PORT):
        return "The URL has a port"
    if url.path in ("", "/") or _has_dot_segments(url.path):
        return "The URL has no path of its own"
    return _host_fault(url.host, policy)


def _host_fault(host: str, policy: HostPolicy | None) -> str | None:
    if is_ip_address(host) or "." not in host.rstrip(".") or _is_local(host):
        return "The host of the URL has no public name"
    if policy is not None and not policy.permits(host):
        return "The host of the URL is not allowed here"
    return None


def _has_dot_segments(path: str) -> bool:
    return any(unquote(segment) in (".", "..") for segment in path.split("/"))


def _is_local(host: str) -> bool:
    return any(_is_below(host.rstrip("."), suffix) for suffix in _LOCAL_SUFFIXES)


def _is_among(host: str, names: Collection[str]) -> bool:
    name = host.rstrip(".").lower()
    return any(
        _is_below(name, one[1:].lower()) if one.startswith(".") else name == one.lower()
        for one in names
    )


def _is_below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")
