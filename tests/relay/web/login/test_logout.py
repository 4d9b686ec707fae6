"""Signing out."""

import pytest

from tests.relay.web.login.site import LoginSite, Visitor, fields_of


def test_a_person_signs_out_and_can_come_back(site: LoginSite) -> None:
    anna = Visitor(site)
    anna.log_in("anna")
    stolen = Visitor(site, cookies=dict(anna.cookies))
    form = {"csrf": csrf_of(anna), "next": "/device"}
    answer = anna.post("/logout", form)
    assert answer.status == 200
    assert "/login?again=1&amp;next=%2Fdevice" in answer.body.decode()
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not anna.is_signed_in()
    assert not stolen.is_signed_in()
    assert site.told()[-1] == "user.signed_out"


def test_threat_15_nobody_is_signed_out_by_another_site(site: LoginSite) -> None:
    anna = Visitor(site)
    anna.log_in("anna")
    csrf = csrf_of(anna)
    assert anna.get("/logout").status == 405
    assert anna.post("/logout", {"csrf": "x"}).status == 403
    assert anna.post("/logout", {"csrf": csrf}, origin="https://evil.example").status == 403
    assert anna.is_signed_in()


@pytest.mark.parametrize("wanted", ["", "//evil.example", "/login"])
def test_the_way_back_is_our_own(site: LoginSite, wanted: str) -> None:
    answer = Visitor(site).post("/logout", {"next": wanted})
    assert 'href="/login?again=1"' in answer.body.decode()


def csrf_of(visitor: Visitor) -> str:
    return fields_of(visitor.get("/login?again=1"))["csrf"]
