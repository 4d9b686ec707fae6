"""Audit events as lines of JSON."""

import json

from mcptunnel.store.audit import AuditEvent, Logged
from mcptunnel.store.audit_json import audit_line, number_in
from tests.store.samples import ALICE


def test_an_event_is_one_line_with_what_it_has() -> None:
    """Whatever a stranger chose is escaped: no second line, no colours for a terminal."""
    event = AuditEvent(
        at_s=1.5,
        event="client.registered",
        principal=ALICE,
        client_id="c",
        address="192.0.2.1",
        detail={"client": 'a\n{"id":2}\x1b[31mü\u2028'},
    )
    line = audit_line(Logged(7, event))
    assert line.isascii()
    assert line.isprintable() is False
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "id": 7,
        "at": "1970-01-01T00:00:01.500+00:00",
        "event": "client.registered",
        "issuer": ALICE.issuer,
        "user": ALICE.subject,
        "client_id": "c",
        "address": "192.0.2.1",
        "detail": event.detail,
    }


def test_what_there_is_not_is_left_out() -> None:
    assert set(json.loads(audit_line(Logged(1, AuditEvent(at_s=1.0, event="e"))))) == {
        "id",
        "at",
        "event",
    }


def test_the_number_in_a_line() -> None:
    """A line of somebody else, or half of one, has none."""
    assert number_in(audit_line(Logged(7, AuditEvent(at_s=1.0, event="e"))).encode()) == 7
    for line in (b"", b'{"id":', b"[]", b'{"id":"7"}', b"{}", b"\xff"):
        assert number_in(line) is None
