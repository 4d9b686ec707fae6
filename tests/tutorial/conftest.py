"""The tutorial, followed once; each test looks at something that a reader then has."""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import pytest

from tests.programs.browser import Page, PersonsBrowser
from tests.programs.programs import Estate
from tests.tutorial.application import Application
from tests.tutorial.server import Laptop, RentedServer

USER = "alice"
PASSWORD = "correct horse battery"

_ESTATE = pytest.StashKey[Estate]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the programs under a failure."""
    report = yield
    estate = item.session.stash.get(_ESTATE, None)
    if report.failed and estate is not None:
        report.sections.append(("programs", estate.told()))
    return report


@dataclass(frozen=True, slots=True)
class Owner:
    """The first user at a browser, and the pages that the setup link showed."""

    browser: PersonsBrowser
    shown: Page
    done: Page


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[int], list[int]],
) -> Iterator[RentedServer]:
    """Caddy and the relay; afterwards they are stopped, and no secret is in any log or file."""
    estate = Estate(tmp_path_factory.mktemp("t"), free_ports)
    request.session.stash[_ESTATE] = estate
    try:
        server = RentedServer(estate)
        server.start()
        yield server
        estate.close()
    finally:
        estate.clean_up()


@pytest.fixture(scope="session")
def owner(server: RentedServer) -> Owner:
    """Open the setup link, choose a name and a password."""
    browser = PersonsBrowser(server.public_port, tls=server.tls, extra={"accept": "text/html"})
    link = server.run("users", "setup-link", "--config", "relay.toml")
    assert link.startswith(f"{server.origin}/setup?token="), link
    shown = browser.open(link)
    assert shown.status == 200, shown.text
    chosen = {"username": USER, "password": PASSWORD, "password_again": PASSWORD}
    done = browser.post("/setup", shown.form | chosen)
    assert done.status == 200, done.text
    server.relay.key_texts.append(PASSWORD)
    return Owner(browser, shown, done)


@pytest.fixture(scope="session")
def laptop(server: RentedServer, owner: Owner) -> Laptop:
    """Sign in on the laptop with a browser, and start the agent."""
    laptop = Laptop(server)
    program = laptop.start("login", server.origin)
    program.wait_for("Waiting for you")
    (url,) = re.findall(r"^  (https://\S+)$", program.log, re.MULTILINE)
    asked = owner.browser.open(url)
    sent = owner.browser.post("/consent", asked.form | {"decision": "allow"})
    assert sent.location.startswith("http://127.0.0.1:"), sent.text
    laptop.fetch(sent.location)
    program.wait_for("Signed in at")
    laptop.agent.start()
    return laptop


@pytest.fixture(scope="session")
def token(server: RentedServer, owner: Owner, laptop: Laptop) -> str:
    """What an application has after its user, whose agent runs, signed in by the browser."""
    assert laptop.agent.program.is_running
    given = Application(f"{server.origin}/mcp", server.tls).sign_in(owner.browser)
    server.relay.key_texts += [given["access_token"]]
    return str(given["access_token"])
