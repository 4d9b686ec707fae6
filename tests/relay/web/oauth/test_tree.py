"""The authorization server as a whole: from a stranger to a call, and to the end of the grant."""

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
