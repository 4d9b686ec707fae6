"""Ending all that somebody has."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.keys import RANDOM_BYTES, Scope
from mcptunnel.store.database import Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.keys import Keys
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes, CodeTaken
from mcptunnel.store.oauth.consents import Consent, Consents
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.revocation import Ended, end_client, end_device, end_user
from tests.store.samples import (
    ALICE,
    BOB,
    CLIENT,
    RESOURCE,
    auth_code,
    browser_session,
    client,
    device_code,
    digest,
    family,
    race,
)


def _fill(connection: Connection) -> None:
    """Each of two users has one of everything, from the same client."""
    Clients(connection).put(client())
    for principal in (ALICE, BOB):
        name = principal.subject
        BrowserSessions(connection).add(browser_session(name, name, principal), at_most=9)
        AuthCodes(connection).add(auth_code(name, f"not yet {name}", principal))
        DeviceCodes(connection).add(device_code(name, f"user {name}"), at_most=9)
        DeviceCodes(connection).approve(digest(f"user {name}"), principal, 2.0)
        Families(connection).add(family(name, principal))
        Consents(connection).remember(
            Consent(
                principal=principal,
                client_id=CLIENT,
                redirect_uri="https://client.example/callback",
                resource=RESOURCE,
                scopes=frozenset({"mcp"}),
                granted_s=1.0,
            )
        )


def _left(connection: Connection, name: str) -> list[bool]:
    principal = {"alice": ALICE, "bob": BOB}[name]
    return [
        bool(BrowserSessions(connection).list(principal, 6.0)),
        bool(Consents(connection).list(principal)),
        bool(Families(connection).list(6.0, principal)),
        AuthCodes(connection).take(digest(name), 6.0) is not None,
        DeviceCodes(connection).take(digest(name), 6.0) is not None,
    ]


def _names(ended: Ended) -> tuple[list[str], list[str]]:
    return [one.id for one in ended.families], list(ended.sessions)


def test_of_a_user_nothing_is_left_and_of_others_all(database: Database) -> None:
    """What may still be alive elsewhere is told."""
    database.write(_fill)
    ended = database.write(lambda c: end_user(c, ALICE, now_s=5.0, reason="disabled"))
    assert _names(ended) == (["alice"], ["alice"])
    assert database.write(lambda c: _left(c, "alice")) == [False] * 5
    assert database.write(lambda c: _left(c, "bob")) == [True] * 5
    again = database.write(lambda c: end_user(c, ALICE, now_s=5.0, reason="disabled"))
    assert _names(again) == ([], [])


def test_a_user_disconnects_a_client_for_themselves(database: Database) -> None:
    """They stay signed in, and the client goes on for others."""
    database.write(_fill)
    ended = database.write(
        lambda c: end_client(c, CLIENT, principal=ALICE, now_s=5.0, reason="disconnected")
    )
    assert _names(ended) == (["alice"], [])
    assert database.write(lambda c: _left(c, "alice")) == [True] + [False] * 4
    assert database.write(lambda c: _left(c, "bob")) == [True] * 5
    assert database.read(lambda c: Clients(c).find(CLIENT, 6.0)) is not None


def test_a_client_is_removed_for_all(database: Database) -> None:
    database.write(_fill)
    ended = database.write(lambda c: end_client(c, CLIENT, now_s=5.0, reason="removed"))
    assert _names(ended) == (["alice", "bob"], [])
    for name in ("alice", "bob"):
        assert database.write(partial(_left, name=name)) == [True] + [False] * 4
    assert database.read(lambda c: Clients(c).find(CLIENT, 6.0)) is None


def test_a_code_that_is_exchanged_meanwhile_gives_nothing_that_lives(database: Database) -> None:
    """Whichever comes first, the user has no family when all is done."""
    database.write(_fill)
    turns = iter(range(8))

    def change(connection: Connection) -> object:
        turn = next(turns)
        if turn == 4:
            return end_user(connection, ALICE, now_s=5.0, reason="disabled")
        taken = AuthCodes(connection).take(digest("alice"), 4.0)
        if isinstance(taken, CodeTaken):
            Families(connection).add(family(taken.code.family_id, ALICE))
        return None

    race(database, change)
    assert database.read(lambda c: Families(c).list(6.0, ALICE)) == []


def _fill_devices(connection: Connection) -> None:
    """Alice's two machines share a sign-in; the second has one of its own, too. Bob's claims the same id."""
    for name, principal in (("shared", ALICE), ("own", ALICE), ("bobs", BOB)):
        Families(connection).add(family(name, principal, AGENT_CLIENT_ID))
    key = Keys(connection).issue(ALICE, Scope.AGENT, "service", random=bytes(RANDOM_BYTES), now_s=1)
    for principal, device, used in (
        (ALICE, "i1", ["shared", key.record.id]),
        (ALICE, "i2", ["shared", "own"]),
        (BOB, "i1", ["bobs"]),
    ):
        Devices(connection).seen(principal, device, f"machine {device}", 1.0)
        for grant_id in used:
            DeviceUses(connection).note(principal, device, grant_id)


def test_a_device_loses_the_grants_that_it_used(database: Database) -> None:
    """Others that used them are told, and the keys, which stay; nothing else ends."""
    database.write(_fill_devices)
    end = partial(end_device, principal=ALICE, now_s=5.0, reason="lost")
    ended = database.write(lambda c: end(c, installation_id="i1"))
    assert ended is not None
    assert (ended.device.name, ended.device.revoked_s) == ("machine i1", 5.0)
    assert [one.id for one in ended.families] == ["shared"]
    assert [one.installation_id for one in ended.others] == ["i2"]
    assert [one.name for one in ended.keys] == ["service"]
    assert {one.id for one in database.read(lambda c: Families(c).list(6.0))} == {"own", "bobs"}
    marks = database.read(lambda c: [one.revoked_s for one in Devices(c).list()])
    assert sorted(marks, key=str) == [5.0, None, None]
    again = database.write(lambda c: end_device(c, ALICE, "i1", now_s=6.0, reason="lost"))
    assert again is not None
    assert (again.device.revoked_s, again.families, again.others) == (6.0, [], [])
    assert database.write(lambda c: end(c, installation_id="i9")) is None


def test_a_clock_that_was_set_back_leaves_no_key_newer_than_the_mark(database: Database) -> None:
    """A machine without a clock of its own may be days behind when it starts."""
    database.write(_fill_devices)
    ended = database.write(lambda c: end_device(c, ALICE, "i1", now_s=0.5, reason="lost"))
    assert ended is not None
    (key,) = ended.keys
    assert ended.device.revoked_s == key.created_s > 0.5
    assert database.read(lambda c: Devices(c).find(ALICE, "i1")) == ended.device
    again = database.write(lambda c: Devices(c).allow(ALICE, "i1", granted_s=key.created_s))
    assert again is None


def test_what_a_user_allowed_to_agents_and_nobody_fetched_ends_with_a_device(
    database: Database,
) -> None:
    """It would be a grant that is newer than the mark. What clients and other users have stays."""

    def fill(connection: Connection) -> None:
        Devices(connection).seen(ALICE, "i1", "laptop", 1.0)
        for name, principal, client_id in (
            ("agent", ALICE, AGENT_CLIENT_ID),
            ("client", ALICE, CLIENT),
            ("bobs", BOB, AGENT_CLIENT_ID),
        ):
            code = replace(device_code(name, f"user {name}"), client_id=client_id)
            DeviceCodes(connection).add(code, at_most=9)
            DeviceCodes(connection).approve(digest(f"user {name}"), principal, 2.0)
            AuthCodes(connection).add(auth_code(name, name, principal, client_id))

    database.write(fill)
    database.write(lambda c: end_device(c, ALICE, "i1", now_s=5.0, reason="lost"))

    def left(connection: Connection) -> list[tuple[bool, bool]]:
        return [
            (
                isinstance(AuthCodes(connection).take(digest(name), 6.0), CodeTaken),
                DeviceCodes(connection).take(digest(name), 6.0) is not None,
            )
            for name in ("agent", "client", "bobs")
        ]

    assert database.write(left) == [(False, False), (True, True), (True, True)]
