"""What can be done about users, on the store itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table

from mcptunnel.auth.keys import RANDOM_BYTES, KeyRecord, Scope
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login import changes
from mcptunnel.relay.login.changes import (
    SETUP_S,
    LinkOverError,
    NameTakenError,
    Newcomer,
    NotPossibleError,
    disable,
    enable,
    find_local,
    join,
    local,
    needs_setup,
    offer,
    remove,
)
from mcptunnel.store.database import Database
from mcptunnel.store.keys import Keys
from mcptunnel.store.people.invitations import InvitationKind, Invitations
from mcptunnel.store.people.users import User, Users
from mcptunnel.store.schema import metadata
from tests.relay.store_at_once import copied_database
from tests.store.samples import RACERS, digest, race

SETUP, INVITATION, RESET = InvitationKind.SETUP, InvitationKind.INVITATION, InvitationKind.RESET
HASH = "$argon2id$anna's"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        with copied_database(request.getfixturevalue("all_tables"), tmp_path) as database:
            yield database
        return
    url = request.getfixturevalue("postgresql_url")
    with Database(url, connections=RACERS) as database:
        for table in reversed(metadata.sorted_tables):
            database.write(partial(_clear, table=table))
        yield database


def _clear(connection: Connection, table: Table) -> None:
    connection.execute(table.delete())


def _offer(
    connection: Connection, kind: InvitationKind = SETUP, token: str = "t", name: str | None = None
) -> float:
    return offer(connection, kind, digest(token), now_s=1.0, name=name)


def _join(
    connection: Connection, kind: InvitationKind = SETUP, token: str = "t", name: str = "anna"
) -> tuple[User, Revoked | None]:
    return join(
        connection, kind, digest(token), Newcomer(name, HASH), now_s=2.0, address="192.0.2.1"
    )


def _seen(connection: Connection, principal: Principal) -> None:
    Users(connection).seen(principal, display_name="x", email=None, now_s=1.0)


def _set_up(database: Database) -> None:
    database.write(_offer)
    database.write(_join)


def test_the_first_user(database: Database) -> None:
    assert database.read(needs_setup)
    assert database.write(_offer) == 1.0 + SETUP_S
    user, revoked = database.write(_join)
    assert (user.principal, revoked) == (local("anna"), None)
    assert not database.read(needs_setup)
    with pytest.raises(NotPossibleError):
        database.write(_offer)


def test_of_all_who_use_a_setup_link_at_once_one_becomes_a_user(database: Database) -> None:
    """In threads, each under a name of its own: exactly one user is there afterwards."""
    database.write(_offer)
    names = iter(f"user{n}" for n in range(100))

    def attempt(connection: Connection, name: str) -> bool:
        try:
            _join(connection, name=name)
        except LinkOverError:
            return False
        return True

    results = race(database, lambda connection: attempt(connection, next(names)))
    assert sum(results) == 1
    assert len(database.read(lambda connection: Users(connection).list())) == 1


def test_of_all_who_choose_one_name_at_once_one_gets_it(database: Database) -> None:
    """Each with an invitation of their own; the others' are still good."""
    _set_up(database)
    numbers = range(RACERS)
    for number in numbers:
        database.write(partial(_offer, kind=INVITATION, token=f"i{number}"))

    def attempt(number: int) -> bool:
        try:
            database.write(partial(_join, kind=INVITATION, token=f"i{number}", name="bert"))
        except NameTakenError:
            return False
        return True

    with ThreadPoolExecutor(RACERS) as threads:
        assert sum(threads.map(attempt, numbers)) == 1
    found = database.read(lambda c: [Invitations(c).find(digest(f"i{n}"), 3.0) for n in numbers])
    assert sum(one is None for one in found) == 1


def test_a_link_is_of_one_kind(database: Database) -> None:
    _set_up(database)
    database.write(partial(_offer, kind=INVITATION, token="i"))
    for kind in (SETUP, RESET):
        with pytest.raises(LinkOverError):
            database.write(partial(_join, kind=kind, token="i", name="bert"))
    database.write(partial(_join, kind=INVITATION, token="i", name="bert"))


def test_what_fails_uses_nothing_up(database: Database) -> None:
    _set_up(database)
    database.write(partial(_offer, kind=INVITATION, token="i"))
    with pytest.raises(NameTakenError):
        database.write(partial(_join, kind=INVITATION, token="i", name="Anna"))
    database.write(partial(_join, kind=INVITATION, token="i", name="bert"))


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        (INVITATION, "Anna", "There is a user anna already."),
        (RESET, "bert", "There is no user bert with a password here."),
        (SETUP, None, "mcptunnel users invite"),
    ],
)
def test_what_cannot_be_offered(
    database: Database, kind: InvitationKind, name: str | None, told: str
) -> None:
    _set_up(database)
    with pytest.raises(NotPossibleError, match=told):
        database.write(partial(_offer, kind=kind, name=name))


def test_a_name_is_found_as_it_was_typed_first(database: Database) -> None:
    """Two users may differ in case if a relay was told so; each is found by their own spelling."""
    for name in ("anna", "ANNA"):
        database.write(partial(_seen, principal=local(name)))
    for name in ("anna", "ANNA"):
        found = database.read(partial(find_local, typed=name))
        assert found is not None
        assert found.principal == local(name)
    assert database.read(partial(find_local, typed="bert")) is None


def test_a_provider_cannot_claim_a_local_name(database: Database) -> None:
    other = Principal("https://idp.example", "anna")
    database.write(
        lambda c: Users(c).seen(other, display_name="anna", email="anna@local", now_s=1.0)
    )
    assert database.read(partial(find_local, typed="anna")) is None


def test_out_and_in_again(database: Database) -> None:
    _set_up(database)
    principal = local("anna")

    def changed(connection: Connection) -> list[bool]:
        return [
            change(connection, principal, now_s=3.0)
            for change in (enable, disable, disable, enable, enable)
        ]

    assert database.write(changed) == [False, True, False, True, False]
    assert not database.write(lambda c: disable(c, local("nobody"), now_s=3.0))


def test_another_password_ends_all_links_to_choose_one(database: Database) -> None:
    """Whoever found an old link does not take over what the user has just made safe again."""
    _set_up(database)
    for token in ("old", "new"):
        database.write(partial(_offer, kind=RESET, token=token, name="anna"))
    database.write(partial(_join, kind=RESET, token="new"))
    with pytest.raises(LinkOverError):
        database.write(partial(_join, kind=RESET, token="old"))


def test_a_link_from_before_a_user_was_kept_out_is_worth_nothing_after(database: Database) -> None:
    _set_up(database)
    database.write(partial(_offer, kind=RESET, token="old", name="anna"))
    database.write(lambda c: disable(c, local("anna"), now_s=2.0))
    database.write(lambda c: enable(c, local("anna"), now_s=2.0))
    with pytest.raises(LinkOverError):
        database.write(partial(_join, kind=RESET, token="old"))


def test_a_removed_user_leaves_no_key_that_works(database: Database) -> None:
    _set_up(database)
    principal = local("anna")
    database.write(
        lambda c: Keys(c).issue(principal, Scope.MCP, "", random=bytes(RANDOM_BYTES), now_s=1.0)
    )
    database.write(partial(_offer, kind=RESET, token="r", name="anna"))
    assert database.write(lambda c: remove(c, principal, now_s=3.0))
    assert not database.write(lambda c: remove(c, principal, now_s=3.0))
    key: KeyRecord
    (key,) = database.read(lambda c: Keys(c).list(principal))
    assert key.revoked_s == 3.0
    with pytest.raises(LinkOverError):
        database.write(partial(_join, kind=RESET, token="r"))
    assert database.read(needs_setup)


def test_what_somebody_typed_is_folded_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many users there are: it may be long."""
    _set_up(database)
    seen: list[str] = []

    def counted(name: str) -> str:
        seen.append(name)
        return name.casefold()

    def add(connection: Connection) -> None:
        for name in ("bert", "carl"):
            Users(connection).seen(local(name), display_name=name, email=None, now_s=1.0)

    database.write(add)
    monkeypatch.setattr(changes, "folded", counted)
    assert database.read(lambda c: find_local(c, "CARL")) is not None
    assert seen.count("CARL") == 1
