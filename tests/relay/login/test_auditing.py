"""Events of users in the audit log."""

from functools import partial

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.login.auditing import Event, audit
from mcptunnel.store.audit import AuditLog
from tests.relay.store_at_once import StoreAtOnce


def test_an_event_says_who_and_from_where(store: StoreAtOnce) -> None:
    anna = Principal(LOCAL_ISSUER, "anna")
    for event in Event:
        store.database.write(
            partial(audit, event=event, at_s=1.0, principal=anna, address="x" * 100)
        )
    page = store.database.read(lambda connection: AuditLog(connection).page(limit=99))
    assert {one.event.event for one in page} == {event.value for event in Event}
    assert {(one.event.principal, one.event.address) for one in page} == {(anna, "x" * 64)}


def test_no_address_is_none(store: StoreAtOnce) -> None:
    store.database.write(lambda c: audit(c, Event.REMOVED, at_s=1.0))
    (one,) = store.database.read(lambda connection: AuditLog(connection).page(limit=9))
    assert one.event.address is None
