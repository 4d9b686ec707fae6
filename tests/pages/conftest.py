"""The browser, and the site that it visits."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.interop.processes import Process, free_port, is_open, wait_until
from tests.pages.browser import NAMES, chromium_path

CHECKOUT = Path(__file__).parents[2]
SCREENSHOTS = CHECKOUT / "build" / "screenshots"
START_TIMEOUT_S = 30.0


def _serve(log: Path) -> Iterator[str]:
    port = free_port()
    argv = (sys.executable, "-m", "tests.pages.site", str(port))
    with Process("the sample site", argv, log=log, cwd=CHECKOUT) as site:

        def answers() -> bool:
            site.check_running()
            return is_open(port)

        wait_until(answers, START_TIMEOUT_S, "the sample site")
        yield f"http://127.0.0.1:{port}"
        assert "Traceback" not in site.log_text()


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the samples are."""
    yield from _serve(tmp_path_factory.mktemp("site") / "site.log")


@pytest.fixture(scope="session")
def other_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site of somebody else: a client that waits for its answer."""
    yield from _serve(tmp_path_factory.mktemp("other") / "site.log")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Without one on this machine the tests are skipped, but not in CI."""
    path = chromium_path()
    if path is None:
        text = f"There is no {' or '.join(NAMES)} on this machine"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the pages are kept for people to look at."""
    return SCREENSHOTS
