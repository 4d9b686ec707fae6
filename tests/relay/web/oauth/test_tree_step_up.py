"""Step-up: a token that has less than a request needs, and what becomes of it (MCP, "Scope Challenge Handling")."""

import json
import re
from typing import Any

import pytest

from tests.relay.web.oauth.site import (
    ISSUER,
    OAuthSite,
    PersonAtBrowser,
    parameters_of,
    refreshed,
    tokens,
)
from tests.relay.web.site import HttpAnswer, HttpClient

METADATA = f"{ISSUER}/.well-known/oauth-protected-resource"
CHALLENGE = (
    'Bearer error="insufficient_scope", scope="mcp:read mcp", resource_metadata="' + METADATA
)


@pytest.fixture
def alice(site: OAuthSite) -> PersonAtBrowser:
    return PersonAtBrowser(site)


def given_to_read(site: OAuthSite, alice: PersonAtBrowser, client_id: str) -> dict[str, Any]:
    """Let alice give less than the client asks for; return its tokens."""
    page = alice.authorize(client_id=client_id, scope="mcp offline_access")
    code = parameters_of(alice.answer_consent(page, "read"))["code"]
    given: dict[str, Any] = tokens(site, client_id, code).json
    return given


def call(site: OAuthSite, token: str, path: str = "/mcp") -> HttpAnswer:
    client = HttpClient(site, token)
    return client.at(path, "POST", b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}').answer


def test_a_person_gives_less_and_then_more(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """The client hears what it got, what a call needs, and gets that by asking for the union."""
    client_id = site.client_id()
    less = given_to_read(site, alice, client_id)
    assert less["scope"] == "mcp:read offline_access"
    assert site.mcp(less["access_token"]).status == 200
    refused = call(site, less["access_token"])
    assert refused.status == 403
    assert refused.headers["www-authenticate"] == f'{CHALLENGE}/mcp"'
    assert refused.headers["cache-control"] == "no-store"
    union = "mcp:read offline_access mcp"
    page = alice.authorize(client_id=client_id, scope=union)
    assert page.status == 200, "less was remembered"
    text = page.body.decode()
    assert text.index("It can already") < text.index("read data and prompts")
    assert text.index("This is new") < text.index("Use the tools, data and prompts of")
    more = tokens(site, client_id, parameters_of(alice.answer_consent(page))["code"]).json
    assert set(more["scope"].split()) == {"mcp", "offline_access"}
    assert call(site, more["access_token"]).status != 403
    assert call(site, less["access_token"]).status == 403, "the older grant is what it was"
    assert site.mcp(less["access_token"]).status == 200


@pytest.mark.parametrize("path", ["/mcp", "/messages?session_id=x"])
def test_whatever_calls_is_refused_before_anything_is_done(
    site: OAuthSite, alice: PersonAtBrowser, path: str
) -> None:
    """In a batch, in the older transport; a body that is no message is answered as it always is."""
    client = HttpClient(site, given_to_read(site, alice, site.client_id())["access_token"])
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    batch = json.dumps([ping, {**ping, "method": "tools/call"}]).encode()
    assert client.at(path, "POST", batch).answer.status == 403
    assert client.at(path, "POST", b'{"jsonrpc":"2.0","id":1,"method":"x"}').answer.status == 403
    assert client.at(path, "POST", b"no JSON").answer.status in (400, 404)
    assert client.at(path, "POST", json.dumps(ping).encode()).answer.status in (400, 404)


def test_what_passes_unread_needs_the_whole_scope(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """At the endpoint of one server not even a list can be told from a call; nor is there less to give."""
    token = given_to_read(site, alice, site.client_id())["access_token"]
    refused = site.mcp(token, "/servers/files/mcp")
    assert refused.status == 403
    assert refused.headers["www-authenticate"] == f'{CHALLENGE}/servers/files/mcp"'
    assert site.mcp(token, "/tunnel").status == 403
    page = alice.authorize(client_id=site.client_id(), resource=f"{ISSUER}/servers/files/mcp")
    assert b'value="read"' not in page.body
    assert parameters_of(alice.answer_consent(page, "read"))["error"] == "access_denied"


def test_the_person_says_no_to_more(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """The client hears it, keeps what it had, and is not asked for: it takes the person to go on."""
    client_id = site.client_id()
    less = given_to_read(site, alice, client_id)
    page = alice.authorize(client_id=client_id, scope="mcp:read mcp")
    sent = parameters_of(alice.answer_consent(page, "deny"))
    assert (sent["error"], sent["iss"]) == ("access_denied", ISSUER)
    assert site.mcp(less["access_token"]).status == 200
    assert call(site, less["access_token"]).status == 403


def test_refreshing_only_makes_less(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """What was not granted is `invalid_scope`, and costs nothing; less is a token that has less."""
    client_id = site.client_id()
    less = given_to_read(site, alice, client_id)
    for scope in ("mcp", "mcp:read mcp", "mcp agent"):
        wider = refreshed(site, client_id, less["refresh_token"], scope=scope)
        assert (wider.status, wider.json["error"]) == (400, "invalid_scope")
    again = refreshed(site, client_id, less["refresh_token"]).json
    assert call(site, again["access_token"]).status == 403
    whole = tokens(site, client_id, alice.grant(client_id, scope="mcp")).json
    narrowed = refreshed(site, client_id, whole["refresh_token"], scope="mcp:read").json
    assert narrowed["scope"] == "mcp:read"
    assert site.mcp(narrowed["access_token"]).status == 200
    assert call(site, narrowed["access_token"]).status == 403
    back = refreshed(site, client_id, narrowed["refresh_token"]).json
    assert call(site, back["access_token"]).status != 403


def test_the_last_word_of_a_person_is_what_is_remembered(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """More is asked for every time while they agreed to less, also without a word; less of more is not."""
    client_id = site.client_id()
    alice.grant(client_id, scope="mcp")
    assert alice.authorize(client_id=client_id, scope="mcp:read").status == 303
    page = alice.authorize(client_id=client_id, scope="mcp", prompt="consent")
    assert alice.answer_consent(page, "read").status == 303
    assert alice.authorize(client_id=client_id, scope="mcp:read").status == 303
    assert alice.authorize(client_id=client_id, scope="mcp").status == 200
    silent = alice.authorize(client_id=client_id, scope="mcp", prompt="none")
    assert parameters_of(silent)["error"] == "consent_required"
    given = [one for one in site.events() if one.event == "consent.given"]
    assert [one.detail["scopes"] for one in given] == ["mcp", "mcp:read"]


def test_a_session_goes_on_with_the_new_token(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Legacy clients ask again in the session in which they were refused; to other clients it is none."""
    client_id = site.client_id()
    less = given_to_read(site, alice, client_id)
    client = HttpClient(site, less["access_token"])
    assert client.initialize().status == 200

    def status(token: dict[str, Any]) -> int:
        comes = HttpClient(site, token["access_token"])
        comes.session = client.session
        return comes.legacy("tools/list").answer.status

    more = tokens(site, client_id, alice.grant(client_id, scope="mcp")).json
    other_id = site.client_id(client_name="Other")
    other = tokens(site, other_id, alice.grant(other_id, scope="mcp")).json
    of_bob = tokens(site, client_id, PersonAtBrowser(site, "bob").grant(client_id)).json
    assert [status(one) for one in (other, of_bob, less, more)] == [404, 404, 200, 200]
    site.post_form("/revoke", {"client_id": client_id, "token": less["refresh_token"]})
    assert [status(one) for one in (less, more)] == [401, 200]


def test_over_sse_the_client_connects_anew(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Its session is its stream, which was opened with the older token."""
    client_id = site.client_id()
    less = HttpClient(site, given_to_read(site, alice, client_id)["access_token"])
    stream = less.at("/sse", "GET", accept="text/event-stream")
    path = re.findall(rb"data: (/messages\S+)", stream.answer.body)[0].decode()
    asked = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert less.at(path, "POST", asked).answer.status == 202
    refused = less.at(path, "POST", asked.replace(b"ping", b"tools/call")).answer
    assert refused.headers["www-authenticate"] == f'{CHALLENGE}/sse"'
    given = tokens(site, client_id, alice.grant(client_id, scope="mcp")).json
    more = HttpClient(site, given["access_token"])
    assert more.at(path, "POST", asked).answer.status == 404
    assert more.at("/sse", "GET", accept="text/event-stream").answer.status == 200
