"""A person with a keyboard and no script: every page can be read, filled in and sent."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.browser import Visit, visit
from tests.pages.site import POSTED
from tests.relay.web.pages.samples import CSRF

NO_SCRIPT: dict[str, Any] = {"java_script_enabled": False}


def focused(page: Page) -> str:
    """Return the name or the text of what has the focus."""
    one = page.locator(":focus")
    return one.get_attribute("name") or one.inner_text()


def tabs(seen: Visit, count: int) -> list[str]:
    """Press Tab so many times; return what had the focus after each. What has it shows it."""
    walked = []
    for _ in range(count):
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator(":focus")).to_have_css("outline-style", "solid")
        walked.append(focused(seen.page))
    return walked


def posted(seen: Visit) -> dict[str, str]:
    """Return what the site says was posted."""
    expect(seen.page.locator("h1")).to_have_text(POSTED)
    said: dict[str, str] = json.loads(seen.page.locator("main p").first.inner_text())
    assert said.pop("csrf") == CSRF
    assert not seen.complaints
    return said


def test_signing_in(browser: Browser, origin: str) -> None:
    """The name is asked for first; Enter in the password sends the form."""
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/sign-in")
        assert focused(seen.page) == "username"
        seen.page.keyboard.type("jürgen 🦊")
        assert tabs(seen, 1) == ["password"]
        seen.page.keyboard.type("päßwort & + %")
        seen.page.keyboard.press("Enter")
        assert posted(seen) == {
            "path": "/login",
            "next": "/authorize?request=1&x=2",
            "username": "jürgen 🦊",
            "password": "päßwort & + %",
        }


def test_signing_in_again(browser: Browser, origin: str) -> None:
    """After an error the name is still there, and the password is asked for."""
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/sign-in-error")
        assert focused(seen.page) == "password"
        seen.page.keyboard.type("secret")
        assert tabs(seen, 1) == ["Sign in"]
        seen.page.keyboard.press("Space")
        assert posted(seen)["username"] == "jürgen"


@pytest.mark.parametrize(("name", "path"), [("setup", "/setup"), ("invitation", "/invite")])
def test_a_new_user(name: str, path: str, browser: Browser, origin: str) -> None:
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open(f"/sample/{name}")
        assert focused(seen.page) == "username"
        seen.page.keyboard.type("anna")
        assert tabs(seen, 1) == ["password"]
        seen.page.keyboard.type("correct horse battery")
        assert tabs(seen, 1) == ["password_again"]
        seen.page.keyboard.type("correct horse battery")
        seen.page.keyboard.press("Enter")
        assert posted(seen) == {
            "path": path,
            "username": "anna",
            "password": "correct horse battery",
            "password_again": "correct horse battery",
        }


def test_a_short_password_is_not_sent(browser: Browser, origin: str) -> None:
    """The browser itself says so."""
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/setup")
        seen.page.keyboard.type("anna")
        tabs(seen, 1)
        seen.page.keyboard.type("short")
        tabs(seen, 1)
        seen.page.keyboard.type("short")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("h1")).to_have_text("Set up this relay")
        assert focused(seen.page) == "password"


@pytest.mark.parametrize(
    ("key", "steps", "decision"),
    [("Enter", 2, "allow"), ("Space", 3, "read"), ("Space", 4, "deny")],
)
def test_consent(key: str, steps: int, decision: str, browser: Browser, origin: str) -> None:
    """Sign-out, Allow, reading only, Deny, in this order; nothing has the focus at first, so no key decides by itself."""
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/consent-vouched")
        seen.page.keyboard.press("Enter")
        seen.page.keyboard.press("Space")
        walked = tabs(seen, steps)
        assert walked == ["Not you? Sign out", *["decision"] * 3][:steps]
        seen.page.keyboard.press(key)
        assert posted(seen) == {"path": "/consent", "request": "request-1", "decision": decision}


def test_somebody_else(browser: Browser, origin: str) -> None:
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/consent-vouched")
        assert tabs(seen, 1) == ["Not you? Sign out"]
        seen.page.keyboard.press("Enter")
        assert posted(seen) == {"path": "/logout", "next": "/authorize?request=request-1"}


def test_a_device(browser: Browser, origin: str) -> None:
    """The code may be typed in small letters; then the person is asked."""
    with visit(browser, origin, **NO_SCRIPT) as seen:
        seen.open("/sample/device-code")
        assert focused(seen.page) == "user_code"
        seen.page.keyboard.type("bcdf ghjk")
        seen.page.keyboard.press("Enter")
        assert posted(seen) == {"path": "/device", "user_code": "bcdf ghjk"}
        seen.open("/sample/device-confirm")
        tabs(seen, 2)
        seen.page.keyboard.press("Enter")
        assert posted(seen) == {
            "path": "/device",
            "user_code": "BCDF-GHJK",
            "decision": "allow",
        }
