"""Invitations and the setup token."""

from dataclasses import replace

from sqlalchemy import Connection

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.people.invitations import Invitation, InvitationKind, Invitations
from tests.store.samples import ALICE, digest, race


def _made(
    secret: str, kind: InvitationKind = InvitationKind.INVITATION, by: Principal | None = ALICE
) -> Invitation:
    return Invitation(
        token_hash=digest(secret),
        kind=kind,
        label="for Bob",
        for_subject="bob",
        created_by=by,
        created_s=1.0,
        expires_s=10.0,
    )


def test_an_invitation_is_used_once(database: Database) -> None:
    made = _made("a")

    def life(connection: Connection) -> list[object]:
        invitations = Invitations(connection)
        invitations.add(made)
        return [
            invitations.find(made.token_hash, 9.0),
            invitations.find(digest("other"), 9.0),
            invitations.take(digest("other"), 9.0),
            invitations.take(made.token_hash, 9.0),
            invitations.take(made.token_hash, 9.0),
            invitations.find(made.token_hash, 9.0),
            invitations.list(),
        ]

    used = replace(made, used_s=9.0)
    assert database.write(life) == [made, None, None, used, None, None, [used]]


def test_of_all_who_use_it_at_once_one_gets_it(database: Database) -> None:
    """Two people with one link do not both become users."""
    made = _made("a")
    database.write(lambda c: Invitations(c).add(made))
    got = race(database, lambda c: Invitations(c).take(made.token_hash, 2.0))
    assert sum(one is not None for one in got) == 1


def test_an_expired_one_is_worth_nothing_and_goes(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        invitations = Invitations(connection)
        for secret in "abc":
            invitations.add(_made(secret))
        return [
            invitations.find(digest("a"), 10.0),
            invitations.take(digest("a"), 10.0),
            invitations.purge(9.0, 9),
            invitations.purge(10.0, 2),
            invitations.purge(10.0, 2),
        ]

    assert database.write(life) == [None, None, 0, 2, 1]


def test_a_setup_token_replaces_the_one_before(database: Database) -> None:
    """A relay that starts again prints a new link, and the old one is worth nothing."""

    def life(connection: Connection) -> list[object]:
        invitations = Invitations(connection)
        invitations.add(_made("invited"))
        for secret in ("old", "new"):
            invitations.add(_made(secret, InvitationKind.SETUP, None))
        return [
            invitations.take(digest("old"), 2.0),
            invitations.find(digest("new"), 2.0),
            len(invitations.list()),
        ]

    assert database.write(life) == [None, _made("new", InvitationKind.SETUP, None), 2]


def test_an_unused_one_can_be_withdrawn(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        invitations = Invitations(connection)
        for secret in "ab":
            invitations.add(_made(secret))
        invitations.take(digest("b"), 2.0)
        return [
            invitations.withdraw(digest("a")),
            invitations.withdraw(digest("a")),
            invitations.withdraw(digest("b")),
            len(invitations.list()),
        ]

    assert database.write(life) == [True, False, False, 1]
