"""Every page as people see it: on a screen, in the dark, on a phone. Pictures are in build/screenshots."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.pages.axe import violations
from tests.pages.browser import LOOKS, visit
from tests.relay.web.pages.samples import PAGES, PERSON

_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_SMALL = """() => [...document.querySelectorAll("a, button, input:not([type=hidden])")]
    .filter(one => { const box = one.getBoundingClientRect(); return box.height < 24 || box.width < 24; })
    .filter(one => !one.closest("p"))
    .map(one => one.outerHTML)"""
_TRANSFERRED = "performance.getEntriesByType('resource').map(one => one.transferSize)"
_INPUT_SIZES = "() => [...document.querySelectorAll('input')].map(e => parseFloat(getComputedStyle(e).fontSize))"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, look: str, browser: Browser, origin: str, screenshots: Path) -> None:
    """Nothing is complained about or asked elsewhere; nothing is too wide; axe-core finds nothing."""
    with visit(browser, origin, **LOOKS[look]) as seen:
        seen.open(f"/sample/{name}")
        picture = screenshots / look / f"{name}.png"
        seen.page.screenshot(path=picture, full_page=True)
        assert seen.page.evaluate(_WIDER) <= 0
        assert not seen.page.evaluate(_SMALL)  # WCAG 2.2, 2.5.8
        assert min(seen.page.evaluate(_INPUT_SIZES), default=16) >= 16  # or an iPhone zooms in
        assert not violations(seen.page)
        seen.page.set_viewport_size({"width": 320, "height": 256})  # WCAG 2.2, 1.4.10
        assert seen.page.evaluate(_WIDER) <= 0
        assert not seen.complaints
        assert not seen.elsewhere


def test_what_is_wrong_is_seen(browser: Browser, origin: str) -> None:
    """A label gone, a grey that is too light, something from elsewhere: each is told."""
    with visit(browser, origin, **LOOKS["light"]) as seen:
        seen.open("/sample/sign-in")
        seen.page.locator("label").first.evaluate("label => label.remove()")
        seen.page.locator("h1").evaluate("h1 => { h1.style.color = '#bbb'; }")
        assert {one.partition(":")[0] for one in violations(seen.page)} >= {
            "label",
            "color-contrast",
        }
        with seen.page.expect_console_message(lambda one: "img-src" in one.text):
            seen.page.locator("header img").evaluate(
                "i => { i.src = 'https://example.org/x.png'; }"
            )
        assert seen.complaints


@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_scheme_is_the_systems(name: str, browser: Browser, origin: str) -> None:
    with visit(browser, origin, **LOOKS[name]) as seen:
        seen.open("/sample/sign-in")
        colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        channels = [int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        assert (min(channels) > 200) is (name == "light")
        assert (max(channels) < 60) is (name == "dark")


def test_umlauts_and_emoji_are_shown(browser: Browser, origin: str) -> None:
    with visit(browser, origin) as seen:
        seen.open("/sample/device-confirm")
        assert seen.page.get_by_text(PERSON).is_visible()
        assert seen.page.get_by_text("Küchen-Laptop 💻").is_visible()


def test_the_stylesheet_is_fetched_once(browser: Browser, origin: str) -> None:
    """Each later page takes stylesheet and logo from the browser's cache."""
    with visit(browser, origin) as seen:
        seen.open("/sample/sign-in")
        assert max(seen.page.evaluate(_TRANSFERRED)) > 0
        seen.open("/sample/setup")
        assert {*seen.page.evaluate(_TRANSFERRED)} == {0}
