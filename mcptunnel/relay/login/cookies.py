"""The cookie of a browser session (threat 14): its name, how it is set, and how it is read."""

import re
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Final

from twisted.web.http import Request

from mcptunnel.auth.urls import LOOPBACK_HOSTS, split_url

_NAME: Final = "mcptunnel"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""256 bits in base64url."""


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie of one relay.

    `__Host-` ties it to this host, TLS and all paths: no neighbour can set or read it (RFC 6265bis,
    4.1.3.2). Browsers refuse that over http, so there it is without. All ports of a machine share
    their cookies; then the port is in the name.
    """

    name: str
    secure: bool

    @classmethod
    def of(cls, public_url: str) -> "SessionCookie":
        """Return the cookie of the relay at a URL."""
        url = split_url(public_url)
        if url is None:
            raise ValueError("The public URL was not checked")
        if url.scheme == "https":
            return cls(f"__Host-{_NAME}", secure=True)
        port = f"-{url.port}" if url.port is not None and url.host in LOOPBACK_HOSTS else ""
        return cls(f"{_NAME}{port}", secure=False)

    def read(self, request: Request) -> str | None:
        """Return the secret that a request brings, or None; two different ones are none."""
        found = set()
        for header in request.requestHeaders.getRawHeaders(b"cookie", []):
            for pair in header.decode("latin-1").split(";"):
                name, separator, value = pair.strip().partition("=")
                if separator and name == self.name and _SECRET.fullmatch(value):
                    found.add(value)
        return found.pop() if len(found) == 1 else None

    def put(self, request: Request, secret: str, lifetime_s: float | None) -> None:
        """Set the cookie with the answer; without a lifetime it ends with the browser."""
        self._set(request, secret, None if lifetime_s is None else int(lifetime_s))

    def take_away(self, request: Request) -> None:
        """Remove the cookie with the answer."""
        self._set(request, "", 0)

    def _set(self, request: Request, value: str, max_age_s: int | None) -> None:
        cookie: SimpleCookie = SimpleCookie()
        cookie[self.name] = value
        morsel = cookie[self.name]
        morsel["path"] = "/"
        morsel["httponly"] = True
        morsel["samesite"] = "Lax"
        if self.secure:
            morsel["secure"] = True
        if max_age_s is not None:
            morsel["max-age"] = max_age_s
        beginning = self.name.encode() + b"="
        others = [one for one in request.cookies if not one.startswith(beginning)]
        request.cookies[:] = [*others, morsel.OutputString().encode()]
