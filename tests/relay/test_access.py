"""Who a request comes from, and what is taken away."""

import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, Revoked, access_of_key, holder, is_same_client
from mcptunnel.relay.web.mcp import asker_of

ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")
CLIENT = "https://client.example/id?x=1"
KEY = access_of_key(ALICE, "k1", Scope.MCP)
TOKEN = Access(ALICE, holder("g1", CLIENT), "g1", "t1", ("mcp",), CLIENT, "device", 5.0)

TAKEN = [
    (Revoked(grant_id="k1"), [True, False]),
    (Revoked(grant_id="g1"), [False, True]),
    (Revoked(credential_id="t1"), [False, True]),
    (Revoked(client_id=CLIENT), [False, True]),
    (Revoked(device_id="device"), [False, True]),
    (Revoked(principal=ALICE), [True, True]),
    (Revoked(principal=BOB), [False, False]),
    (Revoked(principal=ALICE, client_id=CLIENT), [False, True]),
    (Revoked(principal=BOB, client_id=CLIENT), [False, False]),
    (Revoked(principal=ALICE, grant_id="g2"), [False, False]),
]


def test_the_holder_of_a_key_has_one_name() -> None:
    """By which its sessions are found when the key is revoked."""
    asker = asker_of(KEY)
    assert (asker.principal, asker.client) == ("local|alice", "key:k1")
    assert (KEY.grant_id, KEY.credential_id, KEY.scopes) == ("k1", "k1", (Scope.MCP,))


@pytest.mark.parametrize(("revoked", "taken"), TAKEN)
def test_what_has_every_identity_named_is_taken(revoked: Revoked, taken: list[bool]) -> None:
    assert [revoked.takes(access) for access in (KEY, TOKEN)] == taken


@pytest.mark.parametrize(("revoked", "taken"), TAKEN)
def test_holders_are_taken_as_their_access_is(revoked: Revoked, taken: list[bool]) -> None:
    """But not for one token, nor for one device: their sessions are the grant's."""
    if revoked.credential_id is not None or revoked.device_id is not None:
        taken = [False, False]
    held = [revoked.takes_holder(str(one.principal), one.client) for one in (KEY, TOKEN)]
    assert held == taken


def test_no_key_is_taken_for_a_grant() -> None:
    assert holder("k1") != holder("k1", "k1")
    assert not Revoked(client_id="k1").takes_holder("local|alice", holder("k1"))


@pytest.mark.parametrize("nothing", [{}, {"grant_id": ""}])
def test_to_revoke_nothing_in_particular_is_refused(nothing: dict[str, str]) -> None:
    """It would be everything."""
    with pytest.raises(ValueError, match="Nothing is named"):
        Revoked(**nothing)  # type: ignore[arg-type]  # texts, of whatever name


def test_each_session_of_a_client_is_an_asker_of_its_own() -> None:
    """The credential is the same: who may do what depends on that alone."""
    one, other = KEY.of_session("1"), KEY.of_session("2")
    assert (KEY.asker, one.asker, other.asker) == (
        "key:k1",
        "key:k1 session:1",
        "key:k1 session:2",
    )
    assert one.client == other.client == KEY.client
    assert asker_of(one) == asker_of(KEY)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (holder("g1", "c1"), True),
        (holder("g2", "c1"), True),
        (holder("g1", "c2"), False),
        (holder("g1"), False),
        (holder("c1"), False),
    ],
)
def test_a_client_is_the_same_by_whatever_grant(other: str, *, is_same: bool) -> None:
    assert is_same_client(holder("g1", "c1"), other) is is_same
    assert is_same_client(other, holder("g1", "c1")) is is_same


def test_a_key_is_only_itself() -> None:
    assert is_same_client(holder("k1"), holder("k1"))
    assert not is_same_client(holder("k1"), holder("k2"))
