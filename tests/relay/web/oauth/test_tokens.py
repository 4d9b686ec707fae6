"""`/token` and `/revoke`: codes, refresh tokens, clients that prove themselves (threats 5 to 8, 18, 31)."""

from base64 import b64encode
from typing import Any

import pytest

from mcptunnel.auth.grants import DAY_S, Lifetimes
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.store.revocation import end_client
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import (
    CALLBACK,
    ISSUER,
    VERIFIER,
    OAuthSite,
    PersonAtBrowser,
    granted,
    refreshed,
    tokens,
)
from tests.relay.web.site import HttpAnswer


@pytest.fixture
def alice(site: OAuthSite) -> PersonAtBrowser:
    return PersonAtBrowser(site)


def check_refused(answer: HttpAnswer, error: str = "invalid_grant", status: int = 400) -> None:
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


def test_the_answer_says_all_that_it_means(site: OAuthSite) -> None:
    """Without nulls, which schemas refuse, and with the scope, whatever was asked for."""
    _, given = granted(site, scope="mcp")
    assert given.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert given["token_type"] == "Bearer"
    assert given["expires_in"] == 3600
    assert given["scope"] == "mcp"


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": "short"},
        {"redirect_uri": "https://evil.example"},
        {"code": "mcpt_ac_" + "0" * 43},
        {"code": "nonsense"},
        {"code": "mcpt_rt_" + "0" * 43},
    ],
)
def test_threat_05_who_cannot_prove_a_code_does_not_use_it_up(
    site: OAuthSite, alice: PersonAtBrowser, wrong: dict[str, str]
) -> None:
    client_id = site.client_id()
    code = alice.grant(client_id)
    check_refused(tokens(site, client_id, **({"code": code} | wrong)))
    assert tokens(site, client_id, code).status == 200


def test_threat_07_a_code_of_another_client_is_none(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id, other = site.client_id(), site.client_id(client_name="Other")
    code = alice.grant(client_id)
    check_refused(tokens(site, other, code))
    assert tokens(site, client_id, code).status == 200


def test_threat_07_a_code_used_twice_ends_what_came_of_it(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """Whoever was second may be the one whom the code was stolen from."""
    client_id = site.client_id()
    code = alice.grant(client_id)
    given = tokens(site, client_id, code).json
    assert site.mcp(given["access_token"]).status == 200
    check_refused(tokens(site, client_id, code))
    assert site.mcp(given["access_token"]).status == 401
    check_refused(refreshed(site, client_id, given["refresh_token"]))
    assert [event.event for event in site.events()][-1] == "code.reused"


@pytest.mark.parametrize("presented", ["wrong verifier", "other client"])
def test_threat_07_who_cannot_prove_a_used_code_ends_nothing(
    site: OAuthSite, alice: PersonAtBrowser, presented: str
) -> None:
    client_id, other = site.client_id(), site.client_id(client_name="Other")
    code = alice.grant(client_id)
    given = tokens(site, client_id, code).json
    if presented == "other client":
        check_refused(tokens(site, other, code))
    else:
        check_refused(tokens(site, client_id, code, code_verifier="w" * 43))
    assert site.mcp(given["access_token"]).status == 200


def test_the_resource_is_checked_before_the_code_is_used(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id = site.client_id()
    code = alice.grant(client_id, resource=f"{ISSUER}/mcp")
    wrong = tokens(site, client_id, code, resource=f"{ISSUER}/servers/files/mcp")
    check_refused(wrong, "invalid_target")
    right = tokens(site, client_id, code, resource="HTTP://RELAY.test:80/mcp/")
    assert right.status == 200


def test_threat_18_a_token_opens_only_its_resource(site: OAuthSite) -> None:
    """Neither another server, nor the hub, nor the agents' door."""
    _, given = granted(site, resource=f"{ISSUER}/servers/files/mcp")
    token = given["access_token"]
    refused = site.mcp(token)
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert site.mcp(token, "/servers/other/mcp").status == 401
    assert site.mcp(token, "/devices/a/servers/files/mcp").status == 401
    assert site.mcp(token, "/servers/files/mcp").status in (200, 404, 503)
    assert site.mcp(token, "/tunnel").status == 401


def test_threat_18_a_token_for_all_endpoints_does_not_open_the_tunnel(site: OAuthSite) -> None:
    """2025-03-26 clients name no resource; what they get is still a client's token."""
    _, given = granted(site)
    assert site.mcp(given["access_token"]).status == 200
    assert site.mcp(given["access_token"], "/sse").status != 401
    refused = site.mcp(given["access_token"], "/tunnel")
    assert refused.status == 403
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert "agent" in challenge
    assert f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/tunnel"' in challenge


def test_threat_17_a_token_in_the_url_is_no_token(site: OAuthSite) -> None:
    _, given = granted(site)
    answer = site.send("POST", f"/mcp?access_token={given['access_token']}")
    assert answer.status == 401
    assert "error=" not in answer.headers["www-authenticate"]


def test_threat_08_a_refresh_token_is_replaced(site: OAuthSite) -> None:
    client_id, given = granted(site)
    again = refreshed(site, client_id, given["refresh_token"]).json
    assert again["refresh_token"] != given["refresh_token"]
    assert site.mcp(again["access_token"]).status == 200
    assert site.mcp(given["access_token"]).status == 200


def test_threat_08_parallel_calls_refresh_with_the_same_token(site: OAuthSite) -> None:
    """Within the grace time each of them gets tokens that work; not more often than is sensible."""
    client_id, given = granted(site)
    first = refreshed(site, client_id, given["refresh_token"])
    late = [refreshed(site, client_id, given["refresh_token"]) for _ in range(10)]
    assert {answer.status for answer in [first, *late]} == {200}
    assert len({answer.json["refresh_token"] for answer in [first, *late]}) == 11
    for answer in late:
        assert refreshed(site, client_id, answer.json["refresh_token"]).status == 200
    check_refused(refreshed(site, client_id, given["refresh_token"]))
    assert site.mcp(first.json["access_token"]).status == 200


def test_threat_08_a_token_that_comes_back_late_was_stolen(site: OAuthSite) -> None:
    client_id, given = granted(site)
    again = refreshed(site, client_id, given["refresh_token"]).json
    site.wait_s(61)
    check_refused(refreshed(site, client_id, given["refresh_token"]))
    check_refused(refreshed(site, client_id, again["refresh_token"]))
    assert site.mcp(again["access_token"]).status == 401
    assert [event.event for event in site.events()][-1] == "token.reused"
    (revoked,) = site.all_revoked
    assert revoked.grant_id is not None


def test_threat_08_a_token_of_another_client_is_none(site: OAuthSite) -> None:
    client_id, given = granted(site)
    check_refused(refreshed(site, site.client_id(client_name="Other"), given["refresh_token"]))
    assert refreshed(site, client_id, given["refresh_token"]).status == 200


def test_threat_08_a_grant_ends_at_last_however_often_it_is_refreshed(store: StoreAtOnce) -> None:
    lifetimes = Lifetimes(refresh_idle_s=2 * DAY_S, family_s=3 * DAY_S)
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, lifetimes=lifetimes))
    client_id, given = granted(site)
    site.wait_s(1.5 * DAY_S)
    again = refreshed(site, client_id, given["refresh_token"])
    assert again.status == 200
    site.wait_s(1.5 * DAY_S)
    check_refused(refreshed(site, client_id, again.json["refresh_token"]))


def test_a_grant_that_is_not_used_ends(store: StoreAtOnce) -> None:
    lifetimes = Lifetimes(refresh_idle_s=DAY_S)
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, lifetimes=lifetimes))
    client_id, given = granted(site)
    site.wait_s(DAY_S)
    check_refused(refreshed(site, client_id, given["refresh_token"]))


def test_an_access_token_expires(site: OAuthSite) -> None:
    """Also one that was checked a moment ago."""
    _, given = granted(site)
    site.wait_s(3599)
    assert site.mcp(given["access_token"]).status == 200
    site.wait_s(1)
    assert site.mcp(given["access_token"]).status == 401


def test_a_refreshed_token_can_be_for_less(site: OAuthSite) -> None:
    client_id, given = granted(site)
    narrow = refreshed(
        site, client_id, given["refresh_token"], resource=f"{ISSUER}/servers/files/mcp"
    ).json
    assert site.mcp(narrow["access_token"]).status == 401
    wide = refreshed(site, client_id, narrow["refresh_token"]).json
    assert site.mcp(wide["access_token"]).status == 200


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"scope": "agent"}, "invalid_scope"),
    ],
)
def test_asking_for_more_than_was_granted_costs_nothing(
    site: OAuthSite, asked: dict[str, str], error: str
) -> None:
    client_id, given = granted(site)
    check_refused(refreshed(site, client_id, given["refresh_token"], **asked), error)
    assert refreshed(site, client_id, given["refresh_token"]).status == 200


@pytest.mark.parametrize("grant_type", ["", "password", "client_credentials", "implicit"])
def test_other_grants_are_refused(site: OAuthSite, grant_type: str) -> None:
    form = {"client_id": site.client_id(), "grant_type": grant_type}
    answer = site.post_form("/token", form)
    check_refused(answer, "unsupported_grant_type" if grant_type else "invalid_request")


def test_an_unknown_client_is_told_to_register(site: OAuthSite) -> None:
    for path in ("/token", "/revoke", "/device_authorization"):
        answer = site.post_form(path, {"client_id": "mcpt_ci_gone", "token": "x"})
        check_refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_client_that_was_removed_is_told_to_register(site: OAuthSite) -> None:
    """Claude registers anew only for 401 `invalid_client`."""
    client_id, given = granted(site)
    site.store.database.write(
        lambda connection: end_client(connection, client_id, now_s=1.0, reason="test")
    )
    check_refused(refreshed(site, client_id, given["refresh_token"]), "invalid_client", 401)


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
@pytest.mark.parametrize("sent_as", ["post", "basic"])
def test_a_secret_is_taken_either_way(
    site: OAuthSite, alice: PersonAtBrowser, method: str, sent_as: str
) -> None:
    registered = site.register(token_endpoint_auth_method=method).json
    client_id, secret = registered["client_id"], registered["client_secret"]
    code = alice.grant(client_id)
    basic = b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"authorization": f"Basic {basic}"} if sent_as == "basic" else {}
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
    }
    if sent_as == "post":
        form |= {"client_id": client_id, "client_secret": secret}
    assert site.post_form("/token", form, headers).status == 200


@pytest.mark.parametrize("secret", ["", "wrong", "mcpt_cs_" + "0" * 43])
def test_threat_31_a_wrong_secret_looks_like_an_unknown_client(
    site: OAuthSite, secret: str
) -> None:
    registered = site.register(token_endpoint_auth_method="client_secret_post").json
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_secret": secret}
    wrong = site.post_form("/token", form | {"client_id": registered["client_id"]})
    unknown = site.post_form("/token", form | {"client_id": "unknown"})
    check_refused(wrong, "invalid_client", 401)
    assert wrong.body == unknown.body


def test_two_ways_at_once_are_refused(site: OAuthSite) -> None:
    answer = site.post_form(
        "/token", {"client_id": "a", "client_secret": "b"}, {"authorization": "Basic YTpi"}
    )
    check_refused(answer, "invalid_request")


def revoke(site: OAuthSite, client_id: str, token: str, **more: str) -> HttpAnswer:
    return site.post_form("/revoke", {"client_id": client_id, "token": token, **more})


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
def test_an_access_token_is_given_back_alone(site: OAuthSite, hint: str) -> None:
    client_id, given = granted(site)
    more = {"token_type_hint": hint} if hint else {}
    assert revoke(site, client_id, given["access_token"], **more).status == 200
    assert site.mcp(given["access_token"]).status == 401
    assert refreshed(site, client_id, given["refresh_token"]).status == 200


def test_a_refresh_token_takes_its_whole_grant_along(site: OAuthSite) -> None:
    """A refresh token that was rotated before will do."""
    client_id, given = granted(site)
    again = refreshed(site, client_id, given["refresh_token"]).json
    assert site.mcp(again["access_token"]).status == 200
    assert revoke(site, client_id, given["refresh_token"]).status == 200
    assert site.mcp(again["access_token"]).status == 401
    assert site.mcp(given["access_token"]).status == 401
    check_refused(refreshed(site, client_id, again["refresh_token"]))
    assert site.all_revoked == [Revoked(grant_id=site.all_revoked[0].grant_id)]


@pytest.mark.parametrize("token", ["nonsense", "mcpt_rt_" + "0" * 43, "mcpt_at_" + "0" * 43])
def test_threat_31_to_revoke_is_always_200(site: OAuthSite, token: str) -> None:
    client_id, given = granted(site)
    assert revoke(site, client_id, token).status == 200
    other = site.client_id(client_name="Other")
    assert revoke(site, other, given["refresh_token"]).status == 200
    assert revoke(site, other, given["access_token"]).status == 200
    assert site.mcp(given["access_token"]).status == 200
    check_refused(site.post_form("/revoke", {"client_id": client_id}), "invalid_request")


def test_a_client_is_slowed_down_wherever_it_calls_from(store: StoreAtOnce) -> None:
    settings = OAuthSettings(issuer=ISSUER, requests_per_minute=10)
    site = OAuthSite(store=store, settings=settings, trusted=("192.168.1.1",))
    client_id = site.client_id()
    statuses: list[Any] = []
    for number in range(101):
        form = {"client_id": client_id, "token": "x"}
        answer = site.post_form("/revoke", form, {"x-forwarded-for": f"10.0.{number}.1"})
        statuses.append(answer.status)
    assert statuses == [200] * 100 + [429]
