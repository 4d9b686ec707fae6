"""The authorization server as a whole: from a stranger to a call, and to the end of the grant."""

import pytest

from mcptunnel.auth.errors import NO_SIGN_IN
from mcptunnel.config.auth import KEYS, NONE
from mcptunnel.relay.in_use import SWEEP_S
from mcptunnel.relay.oauth.taking_back import GrantDirectory
from mcptunnel.relay.web.oauth.tree import put_hints
from tests.relay.coroutines import now
from tests.relay.web.oauth.site import (
    CALLBACK,
    ISSUER,
    OAuthSite,
    PersonAtBrowser,
    granted,
    parameters_of,
    refreshed,
    tokens,
)
from tests.relay.web.site import Connection, HttpClient, MemorySite


def test_a_client_from_its_registration_to_a_call(site: OAuthSite) -> None:
    """Discovery, registration, sign-in, consent, token, call, refresh, revocation."""
    challenge = site.send("POST", "/mcp").headers["www-authenticate"]
    assert challenge == (
        f'Bearer resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/mcp", scope="mcp"'
    )
    resource = site.send("GET", "/.well-known/oauth-protected-resource/mcp").json
    assert resource["authorization_servers"] == [ISSUER]
    server = site.send("GET", "/.well-known/oauth-authorization-server").json
    assert server["issuer"] == ISSUER
    client_id = site.client_id()
    alice = PersonAtBrowser(site)
    page = alice.authorize(client_id=client_id, resource=resource["resource"])
    assert page.status == 200
    answer = alice.answer_consent(page)
    assert answer.status == 303
    assert answer.headers["location"].startswith(f"{CALLBACK}?code=mcpt_ac_")
    sent = parameters_of(answer)
    assert sent["iss"] == ISSUER
    assert sent["state"] == "state of the client"
    given = tokens(site, client_id, sent["code"])
    assert given.status == 200, given.body
    assert given.headers["cache-control"] == "no-store"
    assert site.mcp(given.json["access_token"]).status == 200
    again = refreshed(site, client_id, given.json["refresh_token"])
    assert again.status == 200, again.body
    assert site.mcp(again.json["access_token"]).status == 200
    revoked = site.post_form(
        "/revoke", {"client_id": client_id, "token": again.json["refresh_token"]}
    )
    assert revoked.status == 200
    assert site.mcp(again.json["access_token"]).status == 401
    assert site.mcp(given.json["access_token"]).status == 401
    assert refreshed(site, client_id, again.json["refresh_token"]).json == {
        "error": "invalid_grant",
        "error_description": "The refresh token is not valid",
    }


def test_the_audit_log_tells_it_all_without_secrets(site: OAuthSite) -> None:
    client_id, given = granted(site)
    site.post_form("/revoke", {"client_id": client_id, "token": given["refresh_token"]})
    events = site.events()
    assert [event.event for event in events] == [
        "client.registered",
        "consent.given",
        "grant.begun",
        "grant.revoked",
    ]
    assert {event.client_id for event in events} == {client_id}
    assert {str(event.principal) for event in events[1:]} == {"local|alice"}
    assert all(event.address for event in events)
    told = repr(events)
    assert given["refresh_token"] not in told
    assert given["access_token"] not in told
    assert "mcpt_ac_" not in told


def open_listen(site: OAuthSite, token: str) -> Connection:
    client = HttpClient(site, token)
    connection = client.modern("subscriptions/listen", {"notifications": {}})
    assert connection.answer.status == 200
    assert not connection.answer.is_complete
    return connection


def has_ended(stream: Connection) -> bool:
    return stream.is_lost or stream.answer.is_complete


def test_streams_end_with_their_grant(site: OAuthSite) -> None:
    """And nobody else's do."""
    client_id, given = granted(site)
    _, others = granted(site, "bob")
    stream, other = (open_listen(site, one["access_token"]) for one in (given, others))
    site.post_form("/revoke", {"client_id": client_id, "token": given["refresh_token"]})
    assert has_ended(stream)
    assert not has_ended(other)


def test_streams_end_with_their_client(site: OAuthSite) -> None:
    """Whoever runs the relay removes it: of all users at once, and of no other client."""
    client_id, given = granted(site)
    other_id = site.client_id(client_name="Other")
    code = PersonAtBrowser(site).grant(other_id)
    others = tokens(site, other_id, code).json
    stream, other = (open_listen(site, one["access_token"]) for one in (given, others))
    grants = GrantDirectory(site.store, epoch_s=site.joined.epoch_s, revoked=site.revoked)
    assert now(grants.take_back_client(client_id, None)) == 1
    assert has_ended(stream)
    assert not has_ended(other)


def test_streams_outlive_their_token_where_it_can_be_renewed(site: OAuthSite) -> None:
    """Some clients listen no more for hours after a few ends; revoked, it ends at once."""
    client_id, given = granted(site)
    stream = open_listen(site, given["access_token"])
    site.wait_s(2 * 3600)
    assert not has_ended(stream)
    site.post_form("/revoke", {"client_id": client_id, "token": given["refresh_token"]})
    assert has_ended(stream)


def test_streams_end_with_a_token_that_nobody_can_renew(site: OAuthSite) -> None:
    """So that no client stays for longer than it may."""
    client_id = site.client_id(grant_types=["authorization_code"])
    given = tokens(site, client_id, PersonAtBrowser(site).grant(client_id)).json
    assert "refresh_token" not in given
    stream = open_listen(site, given["access_token"])
    site.wait_s(3599)
    assert not stream.answer.is_complete
    site.wait_s(1 + SWEEP_S)
    assert has_ended(stream)


def test_a_refreshed_grant_keeps_its_stream(site: OAuthSite) -> None:
    client_id, given = granted(site)
    stream = open_listen(site, given["access_token"])
    assert refreshed(site, client_id, given["refresh_token"]).status == 200
    assert not has_ended(stream)


def test_a_stolen_token_takes_the_streams_of_its_grant_along(site: OAuthSite) -> None:
    client_id, given = granted(site)
    again = refreshed(site, client_id, given["refresh_token"]).json
    stream = open_listen(site, again["access_token"])
    site.wait_s(61)
    assert refreshed(site, client_id, given["refresh_token"]).status == 400
    assert has_ended(stream)


@pytest.mark.parametrize(("mode", "hint"), [(KEYS, "API keys alone"), (NONE, "without a token")])
@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/authorize",
        "/token",
        "/register",
        "/revoke",
        "/device",
        "/device_authorization",
        "/consent",
    ],
)
def test_without_a_sign_in_there_is_a_hint(path: str, mode: str, hint: str) -> None:
    """And the challenge is bare, so that no client looks for what is not there."""
    site = MemorySite()
    put_hints(site.root, mode)
    for method in ("GET", "POST"):
        answer = site.ask(method, path)
        assert answer.status == 404
        assert answer.json["error"] == NO_SIGN_IN
        assert hint in answer.json["error_description"]
    assert site.ask("POST", "/mcp").headers["www-authenticate"] == "Bearer"


def test_threat_19_a_session_is_for_its_grant_alone(site: OAuthSite) -> None:
    """The same user through another client does not get it either."""
    _, given = granted(site)
    other = PersonAtBrowser(site)
    client_id = site.client_id(client_name="Other")
    others = tokens(site, client_id, other.grant(client_id)).json
    client = HttpClient(site, given["access_token"])
    client.initialize()
    assert client.legacy("tools/list").answer.status == 200
    thief = HttpClient(site, others["access_token"])
    thief.session = client.session
    assert thief.legacy("tools/list").answer.status == 404


def test_a_session_outlives_the_token_that_opened_it(site: OAuthSite) -> None:
    """A client refreshes and goes on."""
    client_id, given = granted(site)
    client = HttpClient(site, given["access_token"])
    client.initialize()
    again = refreshed(site, client_id, given["refresh_token"]).json
    client.headers["authorization"] = f"Bearer {again['access_token']}"
    assert client.legacy("tools/list").answer.status == 200


@pytest.mark.parametrize("path", ["/servers/x", "/servers/x/mcp", "/devices/y/mcp"])
def test_threat_31_strangers_do_not_learn_what_is_there(site: OAuthSite, path: str) -> None:
    """One answer for every path of servers, and it always names metadata that are there."""
    refused = site.send("GET", path)
    assert refused.status == 401
    challenge = refused.headers["www-authenticate"]
    metadata = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert site.send("GET", metadata.removeprefix(ISSUER)).status == 200
