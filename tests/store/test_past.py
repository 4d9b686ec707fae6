"""What a relay finds when it starts."""

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.devices import Devices
from mcptunnel.store.mcp_sessions import McpSessions
from mcptunnel.store.names import Names
from mcptunnel.store.past import read_past
from tests.store.test_mcp_sessions import record

ALICE = Principal("local", "alice")


def test_everything_is_found_but_old_sessions(database: Database) -> None:
    row = ("n", "i1", "s", "t")
    database.write(lambda connection: Devices(connection).seen(ALICE, "i1", "laptop", 1.0))
    database.write(lambda connection: Names(connection).bind(ALICE, "tool", [row], 1.0))
    records = [record(1, 1.0), record(2, 2.0)]
    database.write(lambda connection: McpSessions(connection).change(records, []))
    past = read_past(database, sessions_since_s=2.0)
    assert [device.name for device in past.devices] == ["laptop"]
    assert past.names == {(ALICE, "tool"): [row]}
    assert past.sessions == [record(2, 2.0)]
    assert database.read(lambda connection: McpSessions(connection).list()) == [record(2, 2.0)]
