"""Token families: they end together, and once."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.oauth import families
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens, Successor
from tests.store.samples import ALICE, BOB, CLIENT, access_token, digest, family, race


def _fill(connection: Connection) -> None:
    families = Families(connection)
    families.add(family("f1"))
    families.add(family("f2", client_id="other"))
    families.add(family("f3", BOB))
    families.add(family("f4", BOB, "other"))
    for principal, installation_id, used in ((BOB, "i1", ["f4"]), (BOB, "i2", ["f3", "f4"])):
        Devices(connection).seen(principal, installation_id, "laptop", 1.0)
        for family_id in used:
            DeviceUses(connection).note(principal, installation_id, family_id)


def test_families_are_found_and_listed(database: Database) -> None:
    """Lists show the living ones alone."""
    database.write(_fill)
    database.write(lambda c: Families(c).revoke("f2", now_s=2.0, reason="logout"))

    def look(connection: Connection) -> list[object]:
        families = Families(connection)
        return [
            families.find("f1"),
            families.find("nothing"),
            [one.id for one in families.list(3.0)],
            [one.id for one in families.list(3.0, BOB)],
            families.list(1000.0),
        ]

    assert database.read(look) == [family("f1"), None, ["f1", "f3", "f4"], ["f3", "f4"], []]


def test_a_family_is_renewable_for_as_long_as_its_newest_refresh_token(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was used renews nothing, though it would have lasted longer; what has ended is not told of."""
    monkeypatch.setattr(families, "AT_ONCE", 2)
    database.write(_fill)

    def give(connection: Connection) -> None:
        tokens = RefreshTokens(connection)
        for family_id, secret, expires_s in (
            ("f1", "a", 60.0),
            ("f3", "b", 40.0),
            ("f4", "c", 9.0),
        ):
            tokens.add(family_id, Successor(token_hash=digest(secret), expires_s=expires_s), 1.0)
        tokens.rotate(digest("a"), Successor(token_hash=digest("d"), expires_s=20.0), 2.0)
        Families(connection).revoke("f4", now_s=2.0, reason="")

    database.write(give)
    asked = ("f1", "f2", "f3", "f4", "nothing")
    found = database.read(lambda c: Families(c).renewable(asked, 3.0))
    assert found == {"f1": 20.0, "f2": 0.0, "f3": 40.0}
    assert database.read(lambda c: Families(c).renewable(asked, 1000.0)) == {}


def test_a_family_is_revoked_once_for_one_reason(database: Database) -> None:
    database.write(_fill)

    def revoke(connection: Connection) -> list[object]:
        families = Families(connection)
        return [families.revoke("f1", now_s=5.0, reason=reason) for reason in ("first", "second")]

    assert database.write(revoke) == [
        replace(family("f1"), revoked_s=5.0, reason="first"),
        None,
    ]
    assert database.write(lambda c: Families(c).revoke("none", now_s=5.0, reason="")) is None


@pytest.mark.parametrize(
    ("revoke", "ended"),
    [
        (partial(Families.revoke_all, principal=ALICE), ["f1", "f2"]),
        (partial(Families.revoke_all, client_id=CLIENT), ["f1", "f3"]),
        (partial(Families.revoke_all, client_id=CLIENT, principal=BOB), ["f3"]),
        (partial(Families.revoke_device, principal=BOB, installation_id="i1"), ["f4"]),
        (partial(Families.revoke_device, principal=BOB, installation_id="i2"), ["f3", "f4"]),
        (partial(Families.revoke_device, principal=ALICE, installation_id="i1"), []),
    ],
)
def test_what_is_revoked_is_told_once(database: Database, revoke: Any, ended: list[str]) -> None:
    """So whoever holds live links of theirs can end them, and nobody else's."""
    database.write(_fill)
    for expected in (ended, []):
        told = database.write(lambda c: revoke(Families(c), now_s=5.0, reason="gone"))
        assert [one.id for one in told] == expected
        assert all(one.revoked_s == 5.0 and one.reason == "gone" for one in told)
    left = {one.id for one in database.read(lambda c: Families(c).list(6.0))}
    assert left == {"f1", "f2", "f3", "f4"} - set(ended)


def test_nobody_in_particular_is_not_everybody(database: Database) -> None:
    with pytest.raises(ValueError, match="neither"):
        database.write(lambda c: Families(c).revoke_all(now_s=1.0, reason=""))


def test_of_all_who_revoke_at_once_one_is_told(database: Database) -> None:
    """Live links are ended once."""
    database.write(_fill)
    got = race(database, lambda c: Families(c).revoke_all(principal=BOB, now_s=5.0, reason="x"))
    assert sorted(len(one) for one in got) == [0] * (len(got) - 1) + [2]


def test_last_used_only_goes_forward(database: Database) -> None:
    database.write(_fill)

    def touch(connection: Connection) -> object:
        for now_s in (5.0, 9.0, 7.0):
            Families(connection).touch("f1", now_s)
        return Families(connection).find("f1")

    assert database.write(touch) == replace(family("f1"), last_used_s=9.0)


def test_a_family_goes_with_its_tokens(database: Database) -> None:
    """When it expires, some time after it was revoked, or some time after its last use when no token is left."""

    def life(connection: Connection) -> list[int]:
        families, tokens = Families(connection), AccessTokens(connection)
        for name, expires_s in (
            ("expired", 5.0),
            ("revoked", 99.0),
            ("good", 99.0),
            ("bare", 99.0),
        ):
            families.add(family(name, expires_s=expires_s))
            if name != "bare":
                tokens.add(access_token(name, name))
                successor = Successor(token_hash=digest(f"rt {name}"), expires_s=99.0)
                RefreshTokens(connection).add(name, successor, 1.0)
        families.revoke("revoked", now_s=4.0, reason="")
        purge = partial(families.purge, 5.0, limit=9)
        told = [
            purge(revoked_before_s=4.0, unused_since_s=1.0),
            purge(revoked_before_s=4.0, unused_since_s=1.5),
            purge(revoked_before_s=4.5, unused_since_s=1.5),
        ]
        told += [purge(revoked_before_s=4.5, unused_since_s=1.5), len(families.list(5.0))]
        return told

    assert database.write(life) == [1, 1, 1, 0, 1]
    assert database.read(lambda c: AccessTokens(c).find(digest("revoked"), 4.0)) is None
    assert database.read(lambda c: RefreshTokens(c).find(digest("rt revoked"))) is None
    assert database.read(lambda c: AccessTokens(c).find(digest("good"), 4.0)) is not None
