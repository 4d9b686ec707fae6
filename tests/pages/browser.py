"""Chromium, and what it complains about."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

DESKTOP: Final = {"viewport": {"width": 1100, "height": 900}}
LEFT: Final = "net::ERR_ABORTED"
"""How a request ends when the next page is opened before the icon of this one is there."""

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {**DESKTOP, "color_scheme": "light"},
    "dark": {**DESKTOP, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "color_scheme": "light",
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
"""How people look at a page."""


def chromium_path() -> str | None:
    """Return the system's Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Visit:
    """A page in a browser context of its own, and everything that went wrong in it."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._request)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.origin}/"):
            self.elsewhere.append(request.url)

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT:
            self.complaints.append(f"failed: {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {urlsplit(response.url).path}")


@contextmanager
def visit(browser: Browser, origin: str, **options: Any) -> Iterator[Visit]:
    """Open an empty page. `options` are those of a browser context, such as one of LOOKS."""
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(20_000)
    try:
        made = Visit(context.new_page(), origin)
        made.watch()
        yield made
    finally:
        context.close()
