"""URLs in configurations, checked and brought to one spelling (RFC 3986, section 6.2.2)."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from mcptunnel.config.errors import InvalidValueError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WEBSOCKET = {"ws": "http", "wss": "https"}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def parse_origin(text: str) -> str:
    """Return `scheme://host[:port]`; nothing may follow the port but a slash.

    Raises `InvalidValueError`.
    """
    parts = _split(text)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidValueError(
            f"{text!r} has more than scheme, host and port",
            f"Write {_origin(parts)!r}; the paths behind it are fixed.",
        )
    return _origin(parts)


def parse_relay_url(text: str) -> str:
    """Return the relay's origin; without a scheme https is meant, `wss` and `ws` are understood.

    Raises `InvalidValueError`.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return parse_origin(f"https://{text}")
    return parse_origin(f"{_WEBSOCKET.get(scheme.lower(), scheme)}://{rest}")


def parse_server_url(text: str) -> str:
    """Return the URL of a local MCP server, path and query included.

    Raises `InvalidValueError`.
    """
    parts = _split(text)
    if parts.fragment:
        raise InvalidValueError(f"{text!r} has a fragment", "Remove everything from '#' on.")
    origin = urlsplit(_origin(parts))
    return urlunsplit((origin.scheme, origin.netloc, parts.path or "/", parts.query, ""))


def is_plain_remote(url: str) -> bool:
    """Tell whether a checked URL means unencrypted HTTP to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address always means this machine (RFC 6761, RFC 1122)."""
    name = host.lower().strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    example = "It looks like 'https://tunnel.example.com'."
    if re.search(r"[\x00-\x20\x7f]", text):
        raise InvalidValueError(f"{text!r} is not a URL: it has spaces in it", example)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidValueError(f"{text!r} is not a URL: {error}", example) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidValueError(f"{text!r} is not an http or https URL", example)
    if "@" in parts.netloc:
        # The text is not repeated here: it has a password in it.
        raise InvalidValueError("the URL has a user name in it", "Remove everything up to '@'.")
    if not parts.hostname or port == 0:
        raise InvalidValueError(f"{text!r} is not a URL: it has no host or port 0", example)
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
