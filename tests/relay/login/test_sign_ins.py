"""Sign-ins are written down."""

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.login.sign_ins import SignIns
from mcptunnel.store.audit import AuditLog
from tests.conftest import Log
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce

JOERG = Principal(LOCAL_ISSUER, "jörg 🦊")


def test_who_came_who_left_and_who_could_not(store: StoreAtOnce, log: Log) -> None:
    sign_ins = SignIns(store, lambda: 7.0)
    now(sign_ins.came(JOERG, "192.0.2.1", "local"))
    now(sign_ins.left(JOERG, "192.0.2.1"))
    now(sign_ins.refused("192.0.2.2", "oidc", "not on the list"))
    page = store.database.read(lambda connection: AuditLog(connection).page(limit=9))
    assert [
        (one.event.event, one.event.principal, one.event.address, one.event.detail)
        for one in reversed(page)
    ] == [
        ("user.signed_in", JOERG, "192.0.2.1", {"way": "local"}),
        ("user.signed_out", JOERG, "192.0.2.1", {}),
        ("user.refused", None, "192.0.2.2", {"way": "oidc", "reason": "not on the list"}),
    ]
    assert log.lines == [
        "local|jörg 🦊 signed in (local) from 192.0.2.1",
        "a sign-in (oidc) from 192.0.2.2 was refused: not on the list",
    ]
