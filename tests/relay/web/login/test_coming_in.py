"""What is the same for every way to sign in."""

import pytest

from mcptunnel.auth.parameters import MAX_BYTES
from mcptunnel.relay.oauth.limits import ALL_TIMES, Limited, RequestLimits
from tests.relay.web.login.site import PASSWORD, LoginSite, Visitor, fields_of


def test_a_session_that_was_renewed_meanwhile_signs_nobody_in(site: LoginSite) -> None:
    """Two forms of one browser: the second to be sent has a cookie that is worth nothing by now."""
    anna = Visitor(site)
    form = fields_of(anna.get("/login")) | {"username": "anna", "password": PASSWORD}
    slow = Visitor(site, cookies=dict(anna.cookies))
    assert anna.post("/login", form).status == 303
    assert slow.post("/login", form).status == 403


def test_so_many_requests_and_no_more(site: LoginSite) -> None:
    """An address may ask each endpoint 600 times a minute here."""
    statuses = [Visitor(site).post("/logout", {}).status for _ in range(602)]
    assert statuses.count(429) > 0
    assert set(statuses) == {200, 429}


@pytest.mark.parametrize("path", ["/login", "/logout", "/invite"])
def test_a_form_is_small(site: LoginSite, path: str) -> None:
    answer = Visitor(site).post(path, {"x": "y" * MAX_BYTES})
    assert answer.status == 413
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/login", "/logout", "/setup"])
def test_only_forms_are_read(site: LoginSite, path: str) -> None:
    answer = site.send("POST", path, b"{}", {"content-type": "application/json"})
    assert answer.status == 400


def test_below_there_is_nothing(site: LoginSite) -> None:
    assert Visitor(site).get("/login/x").status == 404
    assert site.send("PUT", "/login").status == 405


def test_threat_13_strangers_keep_nobody_out_where_somebody_signed_in(site: LoginSite) -> None:
    """Anna signed in from 192.168.1.1; then many addresses use up what all may ask."""
    limits: RequestLimits = site.shared["limits"]
    for n in range(600 * ALL_TIMES):
        limits.wait_s(Limited.SIGN_IN, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert limits.wait_s(Limited.SIGN_IN, "192.0.2.1") > 0
    assert site.send("GET", "/login").status == 200
