"""Tokens: from the header only, with the right scope, and checked while clients come and go."""

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import LimitsConfig
from mcptunnel.relay.web.bearer import REFUSALS_BURST, REFUSALS_PER_S
from mcptunnel.store.errors import StoreError
from tests.conftest import Log, LoggedFailures
from tests.relay.web.site import MODERN, HttpAnswer, HttpClient, MemorySite


@pytest.fixture
def site() -> MemorySite:
    return MemorySite()


def ask(site: MemorySite, path: str = "/mcp", **headers: str) -> HttpAnswer:
    return site.ask("POST", path, headers)


def test_without_a_token_the_challenge_is_bare(site: MemorySite) -> None:
    answer = ask(site)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["id"] is None


@pytest.mark.parametrize("scheme", ["Basic dTpw", "Token x", "Bearer", ""])
def test_another_scheme_is_no_token(site: MemorySite, scheme: str) -> None:
    answer = ask(site, authorization=scheme)
    assert answer.status == 401


@pytest.mark.parametrize("token", ["nonsense", "mcpt_ak_x_y", "\u00e4", "a b c"])
def test_an_unknown_token_is_told(site: MemorySite, token: str) -> None:
    answer = ask(site, authorization=f"Bearer {token}")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert token not in answer.body.decode()


def test_a_revoked_token_is_refused_at_once(site: MemorySite) -> None:
    key = site.keys.issue()
    client = HttpClient(site, key.text)
    assert client.modern("tools/list").answer.status == 200
    site.revoke(key.text)
    assert client.modern("tools/list").answer.status == 401


@pytest.mark.parametrize(
    ("path", "scope", "needed"),
    [("/mcp", Scope.AGENT, "mcp"), ("/tunnel", Scope.MCP, "agent"), ("/ws", Scope.MCP, "agent")],
)
def test_a_key_opens_only_its_own_door(
    site: MemorySite, path: str, scope: Scope, needed: str
) -> None:
    answer = ask(site, path, authorization=f"Bearer {site.key(scope=scope)}")
    assert answer.status == 403
    expected = f'Bearer error="insufficient_scope", scope="{needed}"'
    assert answer.headers["www-authenticate"] == expected
    assert not site.upgrades


def test_refusals_are_logged_but_not_too_many_of_them(site: MemorySite, log: Log) -> None:
    """With who was refused, where and why, and without the token."""
    ask(site, "/tunnel?x=y", authorization=f"Bearer {site.key(scope=Scope.MCP)}")
    (told,) = log.lines
    assert told.startswith("refused ")
    assert " at /tunnel: This token has the scope 'mcp'; here one with 'agent' is" in told
    for _ in range(REFUSALS_BURST + 5):
        ask(site, authorization="Bearer mcpt_ak_guess")
    assert log.count(" at /mcp: This token is not known") == REFUSALS_BURST
    site.joined.clock.advance(1 / REFUSALS_PER_S)
    ask(site)
    assert log.lines[-1].endswith(" at /mcp: A bearer token is needed")
    assert "guess" not in log


@pytest.mark.parametrize("path", ["/tunnel", "/ws"])
def test_agents_come_in_by_both_doors(site: MemorySite, path: str) -> None:
    assert ask(site, path, authorization=f"Bearer {site.key(scope=Scope.AGENT)}").status == 426
    assert [tuple(access.scopes) for access in site.upgrades] == [(Scope.AGENT,)]


@pytest.mark.parametrize("name", ["access_token", "token", "key", "authorization"])
def test_a_token_in_the_url_is_no_token(site: MemorySite, name: str) -> None:
    assert ask(site, f"/mcp?{name}={site.key()}").status == 401
    assert not site.keys.asked


def test_two_tokens_are_none(site: MemorySite) -> None:
    connection = site.connection()
    field = f"Authorization: Bearer {site.key()}\r\n"
    connection.send(f"POST /mcp HTTP/1.1\r\nHost: relay.test\r\n{field}{field}\r\n".encode())
    assert connection.answer.status == 401


def test_the_scheme_has_no_case(site: MemorySite) -> None:
    client = HttpClient(site, site.key())
    key = client.headers["authorization"].removeprefix("Bearer ")
    answer = client.modern("tools/list", authorization=f"bEARER   {key}").answer
    assert answer.status == 200


def test_the_store_is_asked_once_in_a_while(site: MemorySite) -> None:
    client = site.client()
    for _ in range(3):
        assert client.modern("tools/list").answer.status == 200
    assert len(site.keys.asked) == 1
    site.joined.wait_s(60)
    assert client.modern("tools/list").answer.status == 200
    assert len(site.keys.asked) == 2


def test_a_client_waits_for_the_store(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = client.modern("tools/list")
    assert not connection.answers
    gate.callback(None)
    assert connection.answer.status == 200


def test_a_client_that_leaves_meanwhile_is_forgotten(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = client.modern("tools/list")
    connection.hang_up()
    gate.callback(None)
    assert not connection.answers


def test_a_broken_store_is_503(site: MemorySite, logged_failures: LoggedFailures) -> None:
    site.keys.error = StoreError("secret path")
    answer = site.client().modern("tools/list").answer
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert b"secret" not in answer.body
    assert logged_failures.take(StoreError)


def test_a_broken_store_and_a_client_that_left(
    site: MemorySite, logged_failures: LoggedFailures
) -> None:
    gate = site.keys.gate = Deferred[None]()
    site.keys.error = StoreError("no")
    connection = site.client().modern("tools/list")
    connection.hang_up()
    gate.callback(None)
    assert not connection.answers
    assert logged_failures.take(StoreError)


def test_the_version_does_not_matter_to_the_token(site: MemorySite) -> None:
    """A refusal of the token comes before anything that could tell of an era."""
    assert ask(site, mcp_protocol_version=MODERN).status == 401


def test_threat_27_a_user_has_so_many_calls_and_streams_open() -> None:
    """Of all clients together; agents and other users are not concerned."""
    site = MemorySite(limits=LimitsConfig(max_user_requests=2))
    first, second = (HttpClient(site, site.key()) for _ in range(2))
    wishes = {"notifications": {"toolsListChanged": True}}
    streams = [client.modern("subscriptions/listen", wishes) for client in (first, second)]
    refused = first.modern("tools/list").answer
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json["error"]["code"] == -32603
    assert ask(site, "/tunnel", authorization=f"Bearer {site.key(scope=Scope.AGENT)}").status == 426
    bob = HttpClient(site, site.key(user="bob"))
    assert bob.modern("tools/list").answer.status == 200
    streams[0].hang_up()
    assert first.modern("tools/list").answer.status == 200
