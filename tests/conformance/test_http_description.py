"""A real relay answers as its OpenAPI description says, whatever it is asked: no failure, nothing that is not told.

The requests are schemathesis's: what the description allows, what it does not, and methods that are not there.
"""

import json
from collections.abc import Callable, Iterator, Mapping

import pytest

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from tests.conformance.http_description import knowing, run
from tests.programs.browser import PersonsBrowser
from tests.programs.programs import Estate, Relay
from tests.programs.test_oauth import CALLBACK, VERIFIER, ask, code_for, form, set_up

MODE = """[auth]
mode = "local"
[auth.oauth]
requests_per_minute = 1000000
[auth.oauth.clients.known]
redirect_uris = ["https://app.example/callback"]
"""
EXAMPLES = ("--max-examples", "20")


class Place:
    """A relay with its first user, who has let a client in."""

    def __init__(self, relay: Relay, browser: PersonsBrowser) -> None:
        self.relay = relay
        self.browser = browser
        metadata = {"client_name": "Walking App", "redirect_uris": [CALLBACK]}
        _, client = ask(relay, "/register", json.dumps(metadata), "application/json")
        self.client_id: str = client["client_id"]

    def refresh_token(self) -> str:
        exchange = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code_for(self.relay, self.browser, self.client_id),
            "code_verifier": VERIFIER,
        }
        status, given = form(self.relay, "/token", **exchange)
        assert status == 200, given
        token: str = given["refresh_token"]
        self.relay.key_texts += [token, given["access_token"]]
        return token

    def insider(self) -> Mapping[str, list[str]]:
        """Return what somebody knows whom the relay knows, among what nobody knows."""
        page = self.browser.open(f"{self.relay.origin}/device")
        return {
            "client_id": ["known", self.client_id, AGENT_CLIENT_ID],
            "refresh_token": [self.refresh_token()],
            "redirect_uri": [CALLBACK],
            "resource": [f"{self.relay.origin}/mcp", f"{self.relay.origin}/tunnel", "x"],
            "scope": ["mcp", "mcp offline_access", "agent", "x"],
            "prompt": ["none", "login", "consent", "x"],
            "csrf": [page.form["csrf"]],
        }


@pytest.fixture
def place(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Place]:
    estate = Estate(tmp_path_factory.mktemp("p"), free_ports)
    try:
        relay = estate.relay(MODE).start()
        yield Place(relay, set_up(relay))
        estate.close()
    finally:
        estate.clean_up()


def test_strangers_get_what_is_described(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("r")
    done = run(place.relay.origin, knowing({}), folder, {}, *EXAMPLES)
    assert done.returncode == 0, done.stdout[-20_000:]


def test_people_and_clients_get_what_is_described(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the browser session of a user, and with clients, tokens and forms that there are."""
    folder = tmp_path_factory.mktemp("r")
    cookies = "; ".join(f"{name}={value}" for name, value in place.browser.cookies.items())
    headers = {"Cookie": cookies, "Origin": place.relay.origin}
    done = run(place.relay.origin, knowing(place.insider()), folder, headers, *EXAMPLES)
    assert done.returncode == 0, done.stdout[-20_000:]
