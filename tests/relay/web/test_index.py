"""`/` and `/health`."""

import pytest

import mcptunnel
from mcptunnel.relay.web.pages.kinds import IndexPage
from mcptunnel.relay.web.pages.render import Pages
from tests.relay.web.site import MemorySite, head_of


def test_health_tells_whether_an_agent_is_connected() -> None:
    site = MemorySite()
    answer = site.ask("GET", "/health")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    expected = {"status": "ok", "tunnel": "disconnected", "version": mcptunnel.__version__}
    assert answer.json == {**expected, "devices": 0}
    agent = site.joined.agent()
    site.joined.agent(name="tower")
    assert site.ask("GET", "/health").json == {**expected, "tunnel": "connected", "devices": 2}
    site.joined.lose(agent)
    assert site.ask("GET", "/health").json["devices"] == 1


def test_health_tells_whether_agents_are_only_expected_back() -> None:
    """As long as another one is connected the tunnel is up."""
    site = MemorySite()
    agent, tower = site.joined.agent(), site.joined.agent(name="tower")
    site.joined.cut(agent)
    answer = site.ask("GET", "/health").json
    assert (answer["tunnel"], answer["devices"]) == ("connected", 1)
    site.joined.cut(tower)
    answer = site.ask("GET", "/health").json
    assert (answer["tunnel"], answer["devices"]) == ("resuming", 0)
    site.joined.connect(tower)
    assert site.ask("GET", "/health").json["tunnel"] == "connected"


def test_health_answers_to_any_host() -> None:
    """Whoever looks after the relay may ask by its address."""
    assert MemorySite().ask("GET", "/health", {"host": "10.0.0.1:8787"}).status == 200


def test_the_index_for_programs() -> None:
    answer = MemorySite().ask("GET", "/")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["name"] == "mcptunnel"
    assert answer.json["mcp"] == "http://relay.test/mcp"
    assert answer.headers["vary"] == "accept"


def test_the_index_for_people() -> None:
    answer = MemorySite().ask("GET", "/", {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "accept"
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    page = answer.body.decode()
    assert "http://relay.test/mcp" in page
    assert "disconnected" in page


@pytest.mark.parametrize("path", ["/", "/health", "/ready"])
def test_head_has_the_headers_alone(path: str) -> None:
    site = MemorySite()
    connection = site.connection()
    connection.send(head_of("HEAD", path, {"host": "relay.test"}))
    head, _, body = connection.wire.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 0" not in head.lower()
    assert body == b""


@pytest.mark.parametrize("path", ["/", "/health", "/ready"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS", "BREW"])
def test_they_can_only_be_read(path: str, method: str) -> None:
    answer = MemorySite().ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json["error"] == "method_not_allowed"


def test_a_relay_that_stops_is_alive_and_not_ready() -> None:
    """For any host, as with `/health`."""
    site = MemorySite()
    answer = site.ask("GET", "/ready", {"host": "10.0.0.1"})
    assert (answer.status, answer.json) == (200, {"status": "ready"})
    site.joined.draining.is_on = True
    answer = site.ask("GET", "/ready")
    assert (answer.status, answer.json) == (503, {"status": "draining"})
    assert answer.headers["retry-after"] == "1"
    answer = site.ask("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "draining")


@pytest.mark.parametrize(
    ("mode", "told", "not_told"),
    [
        ("oidc", ("to sign in", "mcptunnel keys create"), ("Nobody has to",)),
        ("local", ("to sign in", "mcptunnel keys create"), ("Nobody has to",)),
        ("keys", ("mcptunnel keys create",), ("sign in", "Nobody has to")),
        ("none", ("Nobody has to",), ("sign in", "mcptunnel keys create")),
    ],
)
def test_the_index_says_what_an_application_needs(
    mode: str, told: tuple[str, ...], not_told: tuple[str, ...]
) -> None:
    page = IndexPage(mcp_url="https://a.test/mcp", mode=mode, tunnel="connected", version="1")
    text = Pages("https://a.test").render(page).decode()
    assert [part for part in told if part not in text] == []
    assert [part for part in not_told if part in text] == []
