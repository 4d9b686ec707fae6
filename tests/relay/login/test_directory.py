"""The users for whoever runs the relay."""

import pytest

from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login.changes import INVITATION_S, NotPossibleError
from mcptunnel.relay.login.directory import LINKS, UserDirectory, user_to_json
from mcptunnel.store.people.invitations import InvitationKind
from mcptunnel.store.people.users import Users
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce

BOB = Principal("https://idp.example", "bob")


def directory(
    store: StoreAtOnce, revoked: list[Revoked] | None = None, *, is_local: bool = True
) -> UserDirectory:
    return UserDirectory(
        store,
        "https://relay.example",
        is_local=is_local,
        random=lambda count: b"r" * count,
        epoch_s=lambda: 10.0,
        revoked=([] if revoked is None else revoked).append,
    )


def test_whoever_is_kept_out_is_told_to_all_at_once(store: StoreAtOnce) -> None:
    store.database.write(
        lambda c: Users(c).seen(BOB, display_name="Bob", email="b@example.org", now_s=1.0)
    )
    revoked: list[Revoked] = []
    users = directory(store, revoked)
    (bob,) = now(users.list())
    assert user_to_json(bob) == {
        "issuer": BOB.issuer,
        "user": "bob",
        "name": "Bob",
        "email": "b@example.org",
        "created_s": 1.0,
        "last_seen_s": 1.0,
        "disabled_s": None,
    }
    assert now(users.disable(BOB))
    assert revoked == [Revoked(principal=BOB)]
    assert not now(users.disable(BOB))
    assert now(users.enable(BOB))
    assert len(revoked) == 1
    assert now(users.remove(BOB))
    assert len(revoked) == 2
    assert not now(users.remove(BOB))
    assert len(revoked) == 2


def test_a_link_is_shown_once(store: StoreAtOnce) -> None:
    made = now(directory(store).make_link(InvitationKind.INVITATION, None))
    assert made.url.startswith("https://relay.example/invite?token=mcpt_iv_")
    assert made.expires_s == 10.0 + INVITATION_S


@pytest.mark.parametrize("kind", LINKS.values())
def test_without_passwords_there_are_no_links(store: StoreAtOnce, kind: InvitationKind) -> None:
    with pytest.raises(NotPossibleError, match="do not have passwords"):
        now(directory(store, is_local=False).make_link(kind, "x"))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 100])
def test_nobody_is_invited_under_a_name_that_cannot_be_one(store: StoreAtOnce, name: str) -> None:
    with pytest.raises(NotPossibleError, match="one line"):
        now(directory(store).make_link(InvitationKind.INVITATION, name))
