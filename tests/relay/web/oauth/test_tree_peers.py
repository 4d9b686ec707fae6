"""How other relays were broken: the same moves against this one."""

import pytest

from tests.relay.web.oauth.site import (
    CALLBACK,
    ISSUER,
    OAuthSite,
    PersonAtBrowser,
    granted,
    refreshed,
    tokens,
)
from tests.relay.web.site import HttpClient


@pytest.mark.parametrize("host", ["[", "[::", "a:b:c", "http://relay.test", "\x00"])
def test_one_request_from_a_stranger_ends_no_relay(site: OAuthSite, host: str) -> None:
    """A Host that is no name made a relay throw, and end."""
    for path in ("/tunnel", "/ws", "/mcp", "/authorize", "/token", "/device"):
        assert site.send("GET", path, headers={"host": host}).status in (400, 401, 421)
    assert site.send("GET", "/health").status == 200


@pytest.mark.parametrize(
    "redirect_uri", ["https://evil.example/cb", "javascript:alert(1)", "data:text/html,x"]
)
def test_a_link_takes_no_account_over(site: OAuthSite, redirect_uri: str) -> None:
    """Any client id, any redirect, somebody signed in, and no question asked: there the code went."""
    alice = PersonAtBrowser(site)
    alice.sign_in()
    for client_id in ("evil", site.client_id()):
        answer = alice.authorize(client_id=client_id, redirect_uri=redirect_uri)
        assert (answer.status, "location" in answer.headers) == (400, False)
    asked = alice.authorize(client_id=site.client_id())
    assert asked.status == 200, "a client with a redirect of its own still has to be agreed to"


@pytest.mark.parametrize("scope", ["agent", "mcp agent", "agent offline_access", "agent:mcp", "*"])
def test_threat_20_a_clients_token_registers_no_agent(site: OAuthSite, scope: str) -> None:
    """Any token could pose as a device and take another one's calls."""
    _, given = granted(site, scope=scope)
    assert "agent" not in given["scope"].split()
    for path in ("/tunnel", "/ws"):
        answer = HttpClient(site, given["access_token"]).at(path, "GET").answer
        assert answer.status == 403
    assert not site.upgrades


def test_a_code_works_once_and_a_bad_one_is_400(site: OAuthSite) -> None:
    """Codes worked for minutes, with any redirect; a bad one was a 500, so that clients did not sign in again."""
    client_id = site.client_id()
    code = PersonAtBrowser(site).grant(client_id)
    elsewhere = tokens(site, client_id, code, redirect_uri=f"{CALLBACK}2")
    assert (elsewhere.status, elsewhere.json["error"]) == (400, "invalid_grant")
    given = tokens(site, client_id, code)
    assert given.status == 200
    again = tokens(site, client_id, code)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert site.mcp(given.json["access_token"]).status == 401, "what came of it has ended"
    for text in ("", "x", "mcpt_ac_" + "x" * 43, "\u00e4"):
        assert tokens(site, client_id, text).status == 400
        assert refreshed(site, client_id, text).status == 400


def test_to_revoke_ends_something(site: OAuthSite) -> None:
    """It said 200, and did nothing."""
    client_id, given = granted(site)
    site.post_form("/revoke", {"client_id": client_id, "token": given["refresh_token"]})
    assert site.mcp(given["access_token"]).status == 401
    assert refreshed(site, client_id, given["refresh_token"]).status == 400


@pytest.mark.parametrize("name", ["token", "access_token", "bearer", "key"])
def test_no_token_is_taken_from_a_url(site: OAuthSite, name: str) -> None:
    """There it is in the logs of every proxy."""
    _, given = granted(site)
    for path in ("/mcp", "/tunnel", "/ws"):
        assert site.send("GET", f"{path}?{name}={given['access_token']}").status == 401


def test_a_token_is_for_one_endpoint(site: OAuthSite) -> None:
    """`resource` was ignored."""
    _, given = granted(site, resource=f"{ISSUER}/servers/files/mcp")
    for path in (
        "/mcp",
        "/servers/mail/mcp",
        "/devices/laptop/servers/files/mcp",
        "/sse",
        "/tunnel",
    ):
        assert site.mcp(given["access_token"], path).status == 401


def test_a_page_of_another_origin_drives_nobodys_tools(site: OAuthSite) -> None:
    """Neither with the person's token, should it have it, nor without."""
    _, given = granted(site)
    for token in (given["access_token"], ""):
        client = HttpClient(site, token)
        answer = client.modern("tools/list", origin="https://evil.example").answer
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_nobody_connects_as_an_agent_without_a_token(site: OAuthSite) -> None:
    """Anyone could, and took the calls of whoever was connected."""
    for path in ("/tunnel", "/ws"):
        assert site.send("GET", path).status == 401
    assert not site.upgrades
