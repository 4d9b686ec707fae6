"""A browser that visits a relay: requests with its cookies, and what it keeps of the answers."""

from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel


@dataclass
class Jar:
    """A browser's cookies for one relay."""

    cookies: dict[str, str] = field(default_factory=dict)

    def request(self, **headers: str) -> Request:
        """Return a request with the cookies; underscores in names of headers are hyphens."""
        channel = DummyChannel()
        request = Request(channel)
        if self.cookies:
            pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            request.requestHeaders.addRawHeader(b"cookie", pairs.encode())
        for name, value in headers.items():
            request.requestHeaders.addRawHeader(name.replace("_", "-").encode(), value.encode())
        return request

    def keep(self, request: Request) -> None:
        """Keep the cookies that the answer to a request sets."""
        for line in request.cookies:
            cookie: SimpleCookie = SimpleCookie(line.decode())
            for name, morsel in cookie.items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
