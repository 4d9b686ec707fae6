"""A person's browser that is nothing but `http.client`: it keeps cookies, follows redirects, fills in forms."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode, urlsplit

from tests.programs.client import opened

TIMEOUT_S = 15.0

_HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')


@dataclass(slots=True)
class Page:
    """What the browser shows, or where it was sent away from the relay; `fields` are the header's."""

    status: int
    location: str
    text: str
    fields: Sequence[tuple[str, str]] = ()

    @property
    def form(self) -> dict[str, str]:
        """The hidden fields of the page's forms; the first of each name."""
        fields: dict[str, str] = {}
        for name, value in _HIDDEN.findall(self.text):
            fields.setdefault(name, unescape(value))
        return fields


@dataclass(slots=True)
class PersonsBrowser:
    """One browser at one relay: by https with `tls`, and from the address `source` if there is one.

    `through` is the port to connect to if that is another, and `extra` are more header fields.
    """

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    source: str = ""
    through: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.tls is None else f"https://{self._host}"

    @property
    def _host(self) -> str:
        return f"{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    def open(self, url: str) -> Page:
        """Open a page, wherever the relay sends us."""
        return self._follow(self._ask("GET", url, None))

    def post(self, path: str, form: dict[str, str]) -> Page:
        """Send a form."""
        return self._follow(self._ask("POST", path, urlencode(form)))

    def _follow(self, page: Page) -> Page:
        while page.status == 303 and page.location.startswith(("/", self.origin)):
            page = self._ask("GET", page.location, None)
        return page

    def _ask(self, method: str, url: str, body: str | None) -> Page:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"host": self._host, **self.extra}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers |= {
                "content-type": "application/x-www-form-urlencoded",
                "origin": self.origin,
            }
        connection = opened(self.through or self.port, TIMEOUT_S, self.tls, self.source)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
            for cookie in response.headers.get_all("set-cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            location = response.headers.get("location", "")
            return Page(response.status, location, text, response.getheaders())
        finally:
            connection.close()
