"""A browser without a screen: cookies, redirects within the relay, and forms."""

import http.client
import re
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urlencode

TIMEOUT_S = 20.0

_FIELD = re.compile(r'<input [^>]*?name="([a-z_]+)"[^>]*?>')
_VALUE = re.compile(r'value="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """An answer; `location` is where it leads, or ""."""

    status: int
    text: str
    location: str


@dataclass
class Visitor:
    """Somebody at a browser."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Page:
        return self._ask("GET", path)

    def open(self, path: str) -> Page:
        """Go where a path leads within the relay."""
        page = self.get(path)
        while page.location.startswith("/"):
            page = self.get(page.location)
        return page

    def post(self, path: str, form: dict[str, str]) -> Page:
        return self._ask("POST", path, urlencode(form).encode())

    def join(self, link: str, name: str, password: str) -> Page:
        """Follow a link, and choose a name and a password."""
        path = "/" + link.partition("://")[2].partition("/")[2]
        page = self.open(path)
        assert page.status == 200, page
        chosen = {"username": name, "password": password, "password_again": password}
        return self.post(path.partition("?")[0], fields_of(page) | chosen)

    def log_in(self, name: str, password: str) -> Page:
        form = fields_of(self.get("/login?again=1")) | {"username": name, "password": password}
        return self.post("/login", form)

    def is_signed_in(self) -> bool:
        return self.get("/login").status == 303

    def _ask(self, method: str, path: str, body: bytes = b"") -> Page:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {"cookie": "; ".join(f"{name}={one}" for name, one in self.cookies.items())}
        if method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
            headers["sec-fetch-site"] = "same-origin"
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            for line in answer.headers.get_all("set-cookie", []):
                for name, morsel in SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
            return Page(answer.status, text, answer.headers.get("location", ""))
        finally:
            connection.close()


def fields_of(page: Page) -> dict[str, str]:
    """Return the fields of a page's first form."""
    form = page.text.partition("<form")[2].partition("</form>")[0]
    found = {}
    for match in _FIELD.finditer(form):
        value = _VALUE.search(match[0])
        found[match[1]] = unescape(value[1]) if value else ""
    return found
