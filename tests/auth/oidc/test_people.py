"""Who a person is, and whether they may come in (threat 28)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.people import (
    Admission,
    AllowList,
    admit,
    principal_of,
    shown_name,
    wanted_claims,
)
from mcptunnel.auth.oidc.providers import Quirks, quirks_of
from mcptunnel.model import Principal
from tests.auth.oidc.op import OP, provider

_ALICE = {"sub": "a1", "email": "Alice@Example.org", "email_verified": True, "groups": ["staff"]}
_GOOGLE = quirks_of("https://accounts.google.com")
_ENTRA = quirks_of("https://login.microsoftonline.com/1/v2.0")


def _admitted(allowed: AllowList, quirks: Quirks | None = None, **changes: object) -> Admission:
    claims = {**_ALICE, **changes}
    return admit(claims, Principal(OP, str(claims["sub"])), allowed, quirks or Quirks())


def test_a_user_is_issuer_and_subject() -> None:
    assert principal_of(_ALICE, provider()) == Principal(OP, "a1")
    assert principal_of({"sub": "a1", "oid": "o-1"}, provider(), "oid") == Principal(OP, "o-1")
    assert principal_of({"uid": 7}, provider(), "uid") == Principal(OP, "7")


def test_an_address_names_a_user_only_when_it_is_verified() -> None:
    assert principal_of(_ALICE, provider(), "email") == Principal(OP, "alice@example.org")
    for verified in (False, None, "false", "yes", [True]):
        with pytest.raises(SignInError, match="not verified"):
            principal_of({**_ALICE, "email_verified": verified}, provider(), "email")


def test_an_address_that_only_looks_like_another_in_lower_case_is_not_that_one() -> None:
    """U+212A, the sign for kelvin, is a `k` in lower case: a mailbox of its own, as far as anybody knows."""
    posing: dict[str, Any] = {"email": "\u212aevin@example.org", "email_verified": True}
    assert not _admitted(AllowList(emails=["kevin@example.org"]), **posing).allowed
    assert not _admitted(
        AllowList(domains=["ban\u212a.example"]), email="a@ban\u212a.example"
    ).allowed
    with pytest.raises(SignInError):
        principal_of({**_ALICE, **posing}, provider(), "email")
    umlaut: dict[str, Any] = {"email": "\u00dcbel@example.org", "email_verified": True}
    assert _admitted(AllowList(emails=["\u00fcbel@example.org"]), **umlaut).allowed


@pytest.mark.parametrize(
    "value", [None, "", " a", "a\n", "\u202ea", "x" * 256, 1.5, True, ["a"], {"a": 1}]
)
def test_claims_that_cannot_name_a_user(value: object) -> None:
    with pytest.raises(SignInError):
        principal_of({"x": value}, provider(), "x")


def test_without_a_list_everybody_comes_in() -> None:
    """The relay warns of it when it starts."""
    assert AllowList().is_open
    assert _admitted(AllowList()).allowed


@pytest.mark.parametrize(
    "allowed",
    [
        AllowList(users=("a1",)),
        AllowList(emails=("alice@EXAMPLE.org",)),
        AllowList(domains=("Example.org",)),
        AllowList(domains=("@example.org",)),
        AllowList(groups=("staff", "others")),
        AllowList(users=("b",), groups=("staff",)),
    ],
)
def test_one_list_is_enough(allowed: AllowList) -> None:
    assert not allowed.is_open
    assert _admitted(allowed).allowed


@pytest.mark.parametrize(
    "allowed",
    [
        AllowList(users=("a2", "A1", "alice@example.org")),
        AllowList(emails=("bob@example.org",)),
        AllowList(domains=("org", "ample.org", "sub.example.org")),
        AllowList(groups=("Staff", "sta")),
    ],
)
def test_who_is_on_no_list_stays_out(allowed: AllowList) -> None:
    admission = _admitted(allowed)
    assert not admission.allowed
    assert "list" in admission.reason


@pytest.mark.parametrize("verified", [False, None, "false", 0, "no"])
def test_row_28_addresses_that_are_not_verified_admit_nobody(verified: object) -> None:
    for allowed in (AllowList(emails=("alice@example.org",)), AllowList(domains=("example.org",))):
        admission = _admitted(allowed, email_verified=verified)
        assert not admission.allowed
        assert "not verified" in admission.reason


@pytest.mark.parametrize(
    "email", ["alice@evil.example@example.org", "example.org", None, 1, "a\n@example.org"]
)
def test_row_28_odd_addresses_admit_nobody(email: object) -> None:
    assert not _admitted(AllowList(domains=("example.org",)), email=email).allowed


def test_google_accounts_may_have_any_address_so_hd_counts() -> None:
    """A consumer account with a verified address of a domain is not of that domain's Workspace."""
    allowed = AllowList(domains=("example.org",))
    assert not _admitted(allowed, _GOOGLE).allowed
    assert _admitted(allowed, _GOOGLE, hd="Example.org").allowed
    assert not _admitted(allowed, _GOOGLE, hd=["example.org"]).allowed


def test_entra_addresses_are_what_an_administrator_typed() -> None:
    allowed = AllowList(emails=("alice@example.org",))
    assert not _admitted(allowed, _ENTRA).allowed
    assert _admitted(allowed, _ENTRA, xms_edov="1").allowed
    assert _admitted(allowed, _ENTRA, xms_edov=True).allowed


def test_entra_leaves_out_groups_when_there_are_too_many() -> None:
    """The person is told why."""
    allowed = AllowList(groups=("staff",))
    over: list[dict[str, object]] = [{"_claim_names": {"groups": "src1"}}, {"hasgroups": True}]
    for claims in over:
        admission = _admitted(allowed, _ENTRA, groups=None, **claims)
        assert not admission.allowed
        assert "so many groups" in admission.reason


def test_keycloak_and_others_name_groups_as_they_like() -> None:
    allowed = AllowList(groups=("staff",), groups_claim="roles")
    assert not _admitted(allowed).allowed
    assert _admitted(allowed, roles=["x", 1, "staff"]).allowed
    assert _admitted(allowed, roles="staff").allowed


_JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text() | st.integers())


@given(st.dictionaries(st.sampled_from([*_ALICE, "hd", "_claim_names", "hasgroups"]), _JSON))
def test_any_claims_give_an_answer(claims: dict[str, Any]) -> None:
    """Nothing but SignInError comes out."""
    for name in ("sub", "email"):
        try:
            assert principal_of(claims, provider(), name).subject
        except SignInError:
            continue
    lists = AllowList(users=("u",), emails=("e",), domains=("d",), groups=("g",))
    for quirks in (Quirks(), _GOOGLE, _ENTRA):
        assert admit(claims, Principal(OP, "x"), lists, quirks).reason


def test_names_that_are_shown() -> None:
    """The first that is there, made safe; the subject if there is none."""
    principal = Principal(OP, "a1")
    assert shown_name({"name": " ", "nickname": "Al\nly"}, principal) == "Al ly"
    assert shown_name({"name": 7, "email": "a@x.org"}, principal) == "a@x.org"
    assert shown_name({}, principal) == "a1"


def test_claims_that_are_wanted() -> None:
    """Only what is used for something is asked for once more."""
    assert wanted_claims("sub", ("openid",), AllowList(users=("a",)), Quirks()) == {"sub"}
    allowed = AllowList(domains=("x.org",), groups=("g",), groups_claim="roles")
    everything = {"oid", "name", "email", "email_verified", "roles"}
    assert wanted_claims("oid", ("profile",), allowed, Quirks()) == everything
    assert wanted_claims("oid", ("email",), AllowList(), _ENTRA) == {"oid", "email"}
