"""The built-in login in Chromium: what a browser really sends, and really keeps."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from tests.pages.browser import visit
from tests.programs.programs import Estate, Relay
from tests.programs.test_local_login import LOCAL, setup_link, users

NAME, PASSWORD = "Jürgen 🦊", "Grüße an den Bären 🐻"


@pytest.fixture
def relay(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Relay]:
    estate = Estate(tmp_path_factory.mktemp("p"), free_ports)
    try:
        yield estate.relay(LOCAL).start()
        estate.close()
    finally:
        estate.clean_up()


def test_from_the_setup_link_to_signing_in_again(browser: Browser, relay: Relay) -> None:
    """Forms of pages without a referrer have the origin `null`, and are taken all the same."""
    with visit(browser, relay.origin, java_script_enabled=False) as seen:
        page = seen.page
        seen.open("/setup?" + setup_link(relay).partition("?")[2])
        assert page.url == f"{relay.origin}/setup", "the token is gone from the address bar"
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        with page.expect_request(re.compile("/setup$")) as sent:
            page.get_by_role("button").click()
        assert sent.value.all_headers()["origin"] == "null"
        assert page.url == f"{relay.origin}/"
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        page.context.clear_cookies()
        seen.open("/login?next=/device")
        page.get_by_label("User name").fill("jürgen 🦊")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Code")).to_be_visible()
        expect(page.locator("body")).to_contain_text(NAME)
        assert page.url == f"{relay.origin}/device"
        assert not seen.complaints
        assert not seen.elsewhere


def test_a_wrong_password_and_a_disabled_user(browser: Browser, relay: Relay) -> None:
    with visit(browser, relay.origin) as seen:
        page = seen.page
        seen.open("/setup?" + setup_link(relay).partition("?")[2])
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        page.get_by_role("button").click()
        users(relay, "disable", NAME)
        seen.open("/login?next=/health")
        expect(page.locator("h1")).to_have_text("Sign in")
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password").fill("something else")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The user name or the password is wrong.")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This user may not sign in.")


def test_threat_14_a_form_of_another_site_keeps_the_session(browser: Browser, relay: Relay) -> None:
    """Chromium sends no cookie with it; the relay has it ask again with GET, and that brings the cookie."""
    asked = {
        "response_type": "code",
        "client_id": AGENT_CLIENT_ID,
        "redirect_uri": "http://127.0.0.1:45678/callback",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "scope": "agent",
        "resource": f"{relay.origin}/tunnel",
    }
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in asked.items())
    form = (
        f'<form method="post" action="{relay.origin}/authorize">{fields}<button>Go</button></form>'
    )
    with visit(browser, relay.origin) as seen:
        page = seen.page
        seen.open("/setup?" + setup_link(relay).partition("?")[2])
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        page.get_by_role("button").click()
        (before,) = page.context.cookies()
        page.goto(f"data:text/html,{quote(form)}")
        with page.expect_request(lambda one: one.method == "POST") as sent:
            page.get_by_role("button").click()
        assert "cookie" not in sent.value.all_headers()
        expect(page.get_by_role("button", name="Allow")).to_be_visible()
        expect(page.locator("body")).to_contain_text(NAME)
        (after,) = page.context.cookies()
        assert after["value"] == before["value"]
