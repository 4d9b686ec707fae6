"""URLs in configurations, checked and brought to one spelling (RFC 3986, section 6.2.2)."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from mcptunnel.config.errors import Complaint, InvalidValueError

SERVER_URL_EXAMPLE = "http://127.0.0.1:9000/mcp"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WEBSOCKET = {"ws": "http", "wss": "https"}
_ALMOST_A_SCHEME = re.compile(r"(https?|wss?)(//+|:/?(?=[^/0-9]))", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def parse_origin(text: str) -> str:
    """Return `scheme://host[:port]`; nothing may follow the port but a slash.

    Raises `InvalidValueError`.
    """
    return _parse_origin(text, text)


def _parse_origin(text: str, written: str) -> str:
    parts = _split(text, written, "https://relay.example.org")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidValueError(
            f"{written!r} has more than scheme, host and port",
            f"Write {_origin(parts)!r}; the paths behind it are fixed.",
        )
    return _origin(parts)


def parse_relay_url(text: str) -> str:
    """Return the relay's origin; without a scheme https is meant, `wss` and `ws` are understood.

    Raises `InvalidValueError`.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        is_odd = not text or _ALMOST_A_SCHEME.match(text)
        return _parse_origin(text if is_odd else f"https://{text}", text)
    return _parse_origin(f"{_WEBSOCKET.get(scheme.lower(), scheme)}://{rest}", text)


def parse_server_url(text: str) -> str:
    """Return the URL of a local MCP server, path and query included.

    Raises `InvalidValueError`.
    """
    parts = _split(text, text, SERVER_URL_EXAMPLE)
    if parts.fragment:
        raise InvalidValueError(f"{text!r} has a fragment", "Remove everything from '#' on.")
    origin = urlsplit(_origin(parts))
    return urlunsplit((origin.scheme, origin.netloc, parts.path or "/", parts.query, ""))


def is_plain_remote(url: str) -> bool:
    """Tell whether a checked URL means unencrypted HTTP to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def complaints_about_plain(key: str, values: Mapping[str, Any], what: str) -> Iterator[Complaint]:
    """Complain when the URL at `key` would send `what` unencrypted, unless `insecure` allows it."""
    url = values.get(key)
    if url and is_plain_remote(url) and not values.get("insecure"):
        yield Complaint(
            key,
            f"{url!r} would send {what} unencrypted over the network",
            "Use https, or set insecure = true if something else protects the way.",
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address always means this machine (RFC 6761, RFC 1122)."""
    name = host.lower().strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _split(text: str, written: str, example: str) -> SplitResult:
    """Split `text`, which stands for `written`: that is what messages quote."""
    remedy = f"Write for example {example!r}."
    if not text:
        raise InvalidValueError("is empty", remedy)
    shown = "this" if "@" in written else repr(written)  # there may be a password before it
    if re.search(r"[\x00-\x20\x7f]", text):
        raise InvalidValueError(f"{shown} is not a URL: it has spaces in it", remedy)
    if almost := _ALMOST_A_SCHEME.match(text):
        what = "a colon is missing" if ":" not in almost[2] else "'//' is missing"
        meant = f"{almost[1]}://{text[almost.end() :]}"
        raise InvalidValueError(
            f"{shown} is not a URL: {what}", remedy if "@" in text else f"Write {meant!r}."
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidValueError(f"{shown} is not a URL: {error}", remedy) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidValueError(f"{shown} is not an http or https URL", remedy)
    if "@" in parts.netloc:
        # The text is not repeated here: it has a password in it.
        raise InvalidValueError("the URL has a user name in it", "Remove everything up to '@'.")
    if not parts.hostname or port == 0:
        raise InvalidValueError(f"{shown} is not a URL: it has no host or port 0", remedy)
    return parts


def _origin(parts: SplitResult) -> str:
    host = _host(parts.hostname or "")
    shown_port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{shown_port}"


def _host(host: str) -> str:
    try:
        if ":" in host:
            return f"[{ipaddress.ip_address(host).compressed}]"
        name = host.encode("idna").decode().lower()
    except ValueError as error:
        raise InvalidValueError(f"{host!r} is not a host name") from error
    if not all(map(_LABEL.fullmatch, name.removesuffix(".").split("."))):
        raise InvalidValueError(f"{host!r} is not a host name")
    return name
