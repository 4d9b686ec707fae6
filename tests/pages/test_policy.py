"""What Chromium makes of the Content-Security-Policy (threat 16)."""

from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from mcptunnel.auth.redirects import form_action_source
from tests.pages.browser import Visit, visit
from tests.pages.site import POSTED

CALLBACK = "/callback"


def consent_to(seen: Visit, way: str, url: str, **more: Any) -> None:
    """Allow a client whose answer goes to `url`."""
    seen.open("/consent-to?" + urlencode({"request": f"{way}:{url}", **more}))
    seen.page.get_by_role("button", name="Allow", exact=True).click()


@pytest.mark.parametrize("way", ["to", "via"])
def test_a_listed_client_gets_its_answer(
    way: str, browser: Browser, origin: str, other_origin: str
) -> None:
    url = other_origin + CALLBACK
    with visit(browser, origin) as seen:
        consent_to(seen, way, url, source=form_action_source(url))
        expect(seen.page.locator("h1")).to_have_text(POSTED)
        assert seen.page.url == url
        assert not seen.complaints


@pytest.mark.parametrize("way", ["to", "via"])
def test_nobody_else_does(way: str, browser: Browser, origin: str, other_origin: str) -> None:
    """The redirect after a post counts, also the one after the next: so the client has to be listed."""
    with visit(browser, origin) as seen:
        with seen.page.expect_console_message(lambda one: "form-action" in one.text):
            consent_to(seen, way, other_origin + CALLBACK)
        assert seen.page.url.startswith(f"{origin}/consent-to")


def test_a_private_scheme_is_let_through(browser: Browser, origin: str) -> None:
    """Nobody is there to answer `cursor:`; but the policy does not stand in the way."""
    url = "cursor://anysphere.cursor-mcp/oauth/callback"
    with visit(browser, origin) as seen:
        with seen.page.expect_response(lambda one: one.status == 303):
            consent_to(seen, "to", url, source=form_action_source(url))
        seen.page.wait_for_timeout(300)
        assert not [one for one in seen.complaints if "form-action" in one]


def test_no_script_runs(browser: Browser, origin: str) -> None:
    """Not even one that got into a page."""
    with visit(browser, origin) as seen:
        seen.open("/sample/sign-in")
        with seen.page.expect_console_message(lambda one: "script-src" in one.text):
            seen.page.locator("main").evaluate(
                "main => { const s = document.createElement('script');"
                " s.textContent = 'document.title = \"run\"'; main.append(s); }"
            )
        assert seen.page.title() != "run"


def test_a_page_cannot_be_framed(browser: Browser, origin: str, other_origin: str) -> None:
    """Neither by others nor by ourselves."""
    for framing in (origin, other_origin):
        with visit(browser, framing, bypass_csp=True) as seen:
            seen.open("/sample/signed-out")
            with seen.page.expect_console_message(lambda one: "frame-ancestors" in one.text):
                seen.page.locator("main").evaluate(
                    "(main, url) => { const f = document.createElement('iframe');"
                    " f.src = url; main.append(f); }",
                    f"{origin}/sample/sign-in",
                )
