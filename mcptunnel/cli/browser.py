"""Opens the user's browser."""

import sys
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import Final

_SHOWS_WINDOWS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def can_open(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a window can open here; a browser in the terminal would take it from us."""
    return platform == "darwin" or any(environ.get(name) for name in _SHOWS_WINDOWS)


def open_in_browser(url: str) -> None:
    """Open a URL, if that is possible; some browsers return only when they are closed."""

    def opened() -> None:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(url)

    Thread(target=opened, daemon=True).start()
