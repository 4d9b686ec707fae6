"""What is written into the audit log: short, clean, and without secrets."""

from dataclasses import replace

from mcptunnel.relay.oauth.auditing import MAX_ADDRESS_CHARS, Event, audit
from mcptunnel.store.engine import Transaction
from tests.relay.oauth.parts import ALICE, APP, Parts


def test_an_event_says_who_which_client_and_from_where(parts: Parts) -> None:
    named = replace(APP, name="Evil\u202e\n" + "x" * 500)
    parts.database.write(
        lambda connection: audit(
            connection,
            Event.CONSENT_GIVEN,
            at_s=5.0,
            client=named,
            principal=ALICE,
            address="a" * 500,
            detail={"scopes": "mcp", "shown": "mcpt_ac_" + "0" * 43},
        )
    )
    (event,) = parts.events()
    assert (event.event, event.at_s, event.principal) == ("consent.given", 5.0, ALICE)
    assert event.client_id == APP.id
    assert event.address == "a" * MAX_ADDRESS_CHARS
    assert event.detail["client"].startswith("Evil xxx")
    assert len(event.detail["client"]) <= 100
    assert event.detail["shown"] == "mcpt_ac_…"


def test_what_is_not_known_is_left_out(parts: Parts) -> None:
    client = replace(APP, name="")
    parts.database.write(
        lambda connection: audit(connection, Event.TOKEN_REVOKED, at_s=1.0, client=client)
    )
    (event,) = parts.events()
    assert (event.principal, event.address, event.detail) == (None, None, {})


def test_a_client_that_is_not_known_has_an_id_at_most(parts: Parts) -> None:
    for client in ("unknown", ""):

        def write(connection: Transaction, client: str = client) -> None:
            audit(connection, Event.AUTHORIZATION_REFUSED, at_s=1.0, client=client)

        parts.database.write(write)
    assert [event.client_id for event in parts.events()] == ["unknown", None]


def test_every_event_has_a_name_that_the_store_takes() -> None:
    assert all(len(event) <= 64 for event in Event)
