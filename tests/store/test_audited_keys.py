"""Keys leave a trace."""

from sqlalchemy import Connection

from mcptunnel.auth.keys import RANDOM_BYTES, KeyId, Scope
from mcptunnel.store.audit import AuditLog
from mcptunnel.store.audited_keys import end_key, make_key
from mcptunnel.store.database import Database
from tests.store.samples import ALICE


def test_a_key_made_and_a_key_revoked_are_noted_once(database: Database) -> None:
    """With whose it is and what for, and without its text."""

    def life(connection: Connection) -> tuple[str, list[bool]]:
        issued = make_key(
            connection, ALICE, Scope.AGENT, "laptop", random=bytes(RANDOM_BYTES), now_s=1.0
        )
        ids = [issued.record.id, issued.record.id, KeyId("nothing")]
        return issued.text, [end_key(connection, key_id, 2.0) for key_id in ids]

    text, ended = database.write(life)
    assert ended == [True, False, False]
    found = database.read(lambda c: AuditLog(c).page(limit=9))
    revoked, created = (one.event for one in found)
    assert (created.event, created.at_s, created.principal) == ("key.created", 1.0, ALICE)
    assert (revoked.event, revoked.at_s, revoked.principal) == ("key.revoked", 2.0, ALICE)
    assert created.detail == revoked.detail
    assert (created.detail["scope"], created.detail["name"]) == ("agent", "laptop")
    assert text not in repr(found)
