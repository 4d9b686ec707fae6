"""What users have consented to."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.consents import Consent, Consents
from tests.store.samples import ALICE, BOB, CLIENT, RESOURCE

_GIVEN = Consent(
    principal=ALICE,
    client_id=CLIENT,
    redirect_uri="https://client.example/callback",
    resource=RESOURCE,
    scopes=frozenset({"mcp"}),
    granted_s=1.0,
)


def _find(connection: Connection, given: Consent) -> Consent | None:
    return Consents(connection).find(
        given.principal, given.client_id, given.redirect_uri, given.resource
    )


def test_a_consent_is_found_for_exactly_what_was_asked(database: Database) -> None:
    """Another user, client, redirect URI or resource is asked again."""
    others = [
        replace(_GIVEN, principal=BOB),
        replace(_GIVEN, client_id=CLIENT + "/"),
        replace(_GIVEN, redirect_uri="https://client.example/callback2"),
        replace(_GIVEN, resource=RESOURCE + "2"),
    ]
    database.write(lambda c: Consents(c).remember(_GIVEN))
    assert database.read(lambda c: _find(c, _GIVEN)) == _GIVEN
    assert database.read(lambda c: [_find(c, one) for one in others]) == [None] * 4


def test_a_newer_consent_takes_the_place_of_the_older(database: Database) -> None:
    newer = replace(_GIVEN, scopes=frozenset({"mcp", "offline_access"}), granted_s=2.0)
    database.write(lambda c: Consents(c).remember(_GIVEN))
    database.write(lambda c: Consents(c).remember(newer))
    assert database.read(lambda c: Consents(c).list(ALICE)) == [newer]


def test_consents_are_listed_for_one_client_or_all(database: Database) -> None:
    other = replace(_GIVEN, client_id="other", granted_s=2.0)
    database.write(lambda c: Consents(c).remember(_GIVEN))
    database.write(lambda c: Consents(c).remember(other))
    database.write(lambda c: Consents(c).remember(replace(_GIVEN, principal=BOB)))
    assert database.read(lambda c: Consents(c).list(ALICE)) == [_GIVEN, other]
    assert database.read(lambda c: Consents(c).list(ALICE, client_id="other")) == [other]


def test_long_addresses_are_no_trouble(database: Database) -> None:
    """Together they are longer than what an index of PostgreSQL takes."""
    long = replace(
        _GIVEN, client_id="https://c/" + "i" * 2000, redirect_uri="https://c/" + "r" * 5000
    )
    database.write(lambda c: Consents(c).remember(long))
    assert database.read(lambda c: _find(c, long)) == long


def test_consents_are_forgotten_by_user_and_client(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        consents = Consents(connection)
        for principal in (ALICE, BOB):
            for client_id in ("a", "b"):
                given = replace(_GIVEN, principal=principal, client_id=client_id)
                consents.remember(given)
        return [
            consents.forget(principal=ALICE, client_id="a"),
            [one.client_id for one in consents.list(ALICE)],
            consents.forget(client_id="b"),
            consents.forget(principal=BOB),
            consents.forget(principal=BOB),
        ]

    assert database.write(life) == [1, ["b"], 2, 1, 0]
    with pytest.raises(ValueError, match="neither"):
        database.write(lambda c: Consents(c).forget())
