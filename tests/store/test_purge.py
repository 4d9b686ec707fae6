"""Removing what is over."""

from dataclasses import replace

from sqlalchemy import Connection, func, select

from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.assertions import Assertions
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.documents import CachedDocument, ClientDocuments
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens, Successor
from mcptunnel.store.oauth.requests import AuthRequests
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.people.invitations import Invitation, InvitationKind, Invitations
from mcptunnel.store.purge import Retention, purge
from mcptunnel.store.schema import metadata
from tests.store.samples import (
    ALICE,
    access_token,
    auth_code,
    auth_request,
    browser_session,
    client,
    device_code,
    digest,
    family,
)

_YEAR_S = 365 * 86400.0


def _fill(connection: Connection) -> None:
    Families(connection).add(family())
    AccessTokens(connection).add(access_token())
    first = Successor(token_hash=digest("rt"), expires_s=500.0)
    RefreshTokens(connection).add("f1", first, 1.0)
    AuthCodes(connection).add(auth_code())
    DeviceCodes(connection).add(device_code(), at_most=9)
    BrowserSessions(connection).add(browser_session(), at_most=9)
    AuthRequests(connection).add(auth_request(), at_most=9)
    made = Invitation(
        token_hash=digest("i"), kind=InvitationKind.SETUP, created_s=1.0, expires_s=9.0
    )
    Invitations(connection).add(made)
    Assertions(connection).use(digest("a"), expires_s=9.0, now_s=1.0)
    cached = CachedDocument(url="https://c", document=None, fetched_s=1.0, expires_s=9.0)
    ClientDocuments(connection).put(cached, at_most=9)
    for number in range(5):
        Clients(connection).put(client(f"c{number}"))
        AuditLog(connection).add(AuditEvent(at_s=float(number), event="x"))


def _rows(connection: Connection) -> dict[str, int]:
    counts = {
        name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in metadata.tables.items()
    }
    return {name: count for name, count in counts.items() if count}


def test_nothing_goes_before_its_time(database: Database) -> None:
    database.write(_fill)
    before = database.read(_rows)
    assert len(before) == 12
    assert database.write(lambda c: purge(c, Retention(), now_s=5.0, limit=9)) == 0
    assert database.read(_rows) == before


def test_all_goes_in_bounded_steps(database: Database) -> None:
    """The answer says when there may be more."""
    database.write(_fill)
    steps = [
        database.write(lambda c: purge(c, Retention(), now_s=_YEAR_S, limit=2)) for _ in range(4)
    ]
    assert steps == [2, 2, 1, 0]
    assert database.read(_rows) == {}


def test_how_long_things_are_kept_is_said(database: Database) -> None:
    """A used code and the newest events stay when that is asked for; of those that are nobody's, half as many."""
    database.write(_fill)
    retention = replace(Retention(), used_codes_s=_YEAR_S, audit_s=2 * _YEAR_S, audit_events=6)
    database.write(lambda c: purge(c, retention, now_s=_YEAR_S, limit=9))
    assert database.read(_rows) == {"auth_code": 1, "audit_event": 3}


def test_a_grant_that_cannot_be_renewed_is_there_for_the_calls_it_let_in(
    database: Database,
) -> None:
    """What is open by a grant that is not there any more would end as revoked (`relay.in_use`)."""

    def let_in(connection: Connection) -> None:
        Families(connection).add(replace(family(), expires_s=_YEAR_S))
        AccessTokens(connection).add(access_token())
        Families(connection).touch("f1", 2.0)

    def look(connection: Connection, now_s: float) -> object:
        purge(connection, Retention(), now_s=now_s, limit=9)
        return Families(connection).renewable(["f1"], now_s)

    database.write(let_in)
    assert database.write(lambda c: look(c, 3600.0)) == {"f1": 0.0}
    assert "access_token" not in database.read(_rows)
    assert database.write(lambda c: look(c, 2 * 86400.0)) == {}


def test_a_grant_that_a_device_used_is_there_for_its_link(database: Database) -> None:
    """A link that is up renews nothing, and lasts as long as the grant itself."""

    def let_in(connection: Connection) -> None:
        Families(connection).add(replace(family(), expires_s=_YEAR_S))
        Devices(connection).seen(ALICE, "i1", "laptop", 1.0)
        DeviceUses(connection).note(ALICE, "i1", "f1")

    def look(connection: Connection, now_s: float) -> object:
        purge(connection, Retention(), now_s=now_s, limit=9)
        return Families(connection).renewable(["f1"], now_s)

    database.write(let_in)
    assert database.write(lambda c: look(c, _YEAR_S - 1)) == {"f1": 0.0}
    assert database.write(lambda c: look(c, _YEAR_S)) == {}
