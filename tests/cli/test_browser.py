"""A browser is opened where there are windows, and never waited for."""

import webbrowser
from threading import Event

import pytest

from mcptunnel.cli.browser import can_open, open_in_browser


def test_where_there_are_windows() -> None:
    assert can_open({}, "darwin")
    assert not can_open({"DISPLAY": ""}, "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        assert can_open({name: "x"}, "linux")


def test_it_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some browsers return when they are closed; one that fails is no matter."""
    opened, closed, over = Event(), Event(), Event()

    def browse(url: str) -> None:
        assert url == "https://relay.test"
        opened.set()
        closed.wait(10)
        over.set()
        raise webbrowser.Error("no")

    monkeypatch.setattr(webbrowser, "open", browse)
    open_in_browser("https://relay.test")
    assert opened.wait(10)
    closed.set()
    assert over.wait(10)
