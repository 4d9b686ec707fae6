"""What is sent: the address of a server, and the head of a request."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Headers
from mcptunnel.net.http1.fields import FIELDS, TOKEN

_PORTS = {"http": 80, "https": 443}
_REQUEST_LINE = re.compile(TOKEN + rb" /[\x21-\x7e]*+ HTTP/1\.1\r\n")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields about the connection and the framing: never taken from the caller."""
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class RequestError(McpTunnelError, ValueError):
    """A request or an address that cannot be written as HTTP/1.1; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server is, and what stands before every path there."""

    secure: bool
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """The value of Host: without the port if it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else self._with(host)

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    def _with(self, host: str) -> str:
        return f"{host}:{self.port}"

    def target(self, path: str) -> str:
        """Return the request target of a path with an optional query, both below the base."""
        path, _, query = path.partition("?")
        joined = "&".join(part for part in (self.query, query) if part)
        return (self.path + path or "/") + (f"?{joined}" if joined else "")


def parse_origin(base_url: str) -> Origin:
    """Read the address of a server. Raises RequestError."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise RequestError(f"Not the URL of a server: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise RequestError("The URL of a server starts with http:// or https:// and has a host")
    if parts.username is not None or parts.fragment:
        raise RequestError("The URL of a server has no user, password or fragment")
    return Origin(
        secure=parts.scheme == "https",
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        path=parts.path.rstrip("/") if parts.path.strip("/") else "",
        query=parts.query,
    )


def encode_head(
    method: str, target: str, authority: str, headers: Headers, body_bytes: int | None
) -> bytes:
    """Write the head of a request whose body has so many bytes, or comes in chunks (None).

    Host and Content-Length are ours; what the caller says about them, about the connection and
    about codings is left out. Values are Latin-1.

    Raises RequestError if any part could change the framing.
    """
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _OURS]
    if body_bytes is None:
        lines.append("transfer-encoding: chunked\r\n")
    elif body_bytes or method in _METHODS_WITH_BODY:
        lines.append(f"content-length: {body_bytes}\r\n")
    try:
        block = "".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise RequestError("A header field is not Latin-1") from None
    first = _REQUEST_LINE.match(block)
    if first is None:
        raise RequestError("The method or the path is not allowed in HTTP/1.1")
    # The count of line ends shows that no value brought its own.
    if block.count(b"\n") != len(lines) + 1 or not FIELDS.fullmatch(block, first.end()):
        raise RequestError("A header field is not allowed in HTTP/1.1")
    return block + b"\r\n"
