"""Whose a local server's session is."""

import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay import session_owners as module
from mcptunnel.relay.access import Access, Revoked, access_of_key
from mcptunnel.relay.devices import Device
from mcptunnel.relay.session_owners import SessionOwners

ALICE = Principal(LOCAL_ISSUER, "alice")
BOB = Principal(LOCAL_ISSUER, "bob")
LAPTOP = Device(ALICE, "installation-0001", "laptop", 0.0, 0.0)
TOWER = Device(ALICE, "installation-0002", "tower", 0.0, 0.0)


def access(key: str, principal: Principal = ALICE) -> Access:
    return access_of_key(principal, key, Scope.MCP)


@pytest.fixture
def owners() -> SessionOwners:
    return SessionOwners(3)


def test_a_session_is_for_whom_it_was_given_to(owners: SessionOwners) -> None:
    owners.bind(access("a"), LAPTOP, "web", "s")
    assert owners.may_use(access("a"), LAPTOP, "web", "s")
    assert not owners.may_use(access("b"), LAPTOP, "web", "s")


def test_what_is_not_known_may_be_tried(owners: SessionOwners) -> None:
    """As after a new start of the relay: the server itself knows its sessions."""
    assert owners.may_use(access("b"), LAPTOP, "web", "s")


def test_ids_of_other_places_are_others(owners: SessionOwners) -> None:
    owners.bind(access("a"), LAPTOP, "web", "s")
    assert owners.may_use(access("b"), TOWER, "web", "s")
    assert owners.may_use(access("b"), LAPTOP, "other", "s")


def test_a_server_with_one_id_for_all_has_it_shared(owners: SessionOwners) -> None:
    for key in ("a", "b"):
        owners.bind(access(key), LAPTOP, "web", "the-only-one")
    assert owners.may_use(access("a"), LAPTOP, "web", "the-only-one")
    assert owners.may_use(access("b"), LAPTOP, "web", "the-only-one")
    assert not owners.may_use(access("c"), LAPTOP, "web", "the-only-one")


def test_an_ended_session_is_nobodys(owners: SessionOwners) -> None:
    owners.bind(access("a"), LAPTOP, "web", "s")
    owners.forget(access("a"), LAPTOP, "web", "s")
    assert len(owners) == 0


def test_those_unused_for_longest_go_first(owners: SessionOwners) -> None:
    for session_id in ("1", "2", "3"):
        owners.bind(access("a"), LAPTOP, "web", session_id)
    owners.may_use(access("a"), LAPTOP, "web", "1")
    owners.bind(access("a"), LAPTOP, "web", "4")
    assert len(owners) == 3
    kept = [i for i in "1234" if not owners.may_use(access("b"), LAPTOP, "web", i)]
    assert kept == ["1", "3", "4"]


def test_no_id_is_kept_as_text(owners: SessionOwners) -> None:
    owners.bind(access("a"), LAPTOP, "web", "a-secret-id")
    assert "a-secret-id" not in repr(vars(owners))


def test_a_user_drives_out_only_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_USER", 2)
    owners = SessionOwners(100)
    owners.bind(access("b", BOB), LAPTOP, "web", "his")
    for number in range(10):
        owners.bind(access("a"), LAPTOP, "web", str(number))
    assert len(owners) == 3
    assert not owners.may_use(access("c", BOB), LAPTOP, "web", "his")


def test_who_has_the_most_makes_room_for_others(owners: SessionOwners) -> None:
    owners.bind(access("b", BOB), LAPTOP, "web", "his")
    for session_id in ("1", "2", "3"):
        owners.bind(access("a"), LAPTOP, "web", session_id)
    assert len(owners) == 3
    assert not owners.may_use(access("c", BOB), LAPTOP, "web", "his")
    assert owners.may_use(access("x"), LAPTOP, "web", "1")


def test_a_revoked_holder_is_forgotten_and_told(owners: SessionOwners) -> None:
    """With the devices that have its sessions; who shares one of them keeps it."""
    owners.bind(access("a"), LAPTOP, "web", "s")
    owners.bind(access("a"), TOWER, "web", "shared")
    owners.bind(access("b"), TOWER, "web", "shared")
    gone = owners.revoked(Revoked(grant_id="a"))
    assert gone == {(ALICE, device.installation_id, "key:a") for device in (LAPTOP, TOWER)}
    assert len(owners) == 1
    assert owners.may_use(access("b"), TOWER, "web", "shared")
    assert not owners.may_use(access("a"), TOWER, "web", "shared")
    assert not owners.revoked(Revoked(grant_id="a"))
    owners.revoked(Revoked(principal=ALICE))
    assert not owners._users
