"""The migrations lead from nothing to the tables, and never backwards."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from mcptunnel.model import Principal
from mcptunnel.store import migrate as module
from mcptunnel.store.database import Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.errors import StoreError
from mcptunnel.store.migrate import MIGRATIONS, current_revision, migrate
from mcptunnel.store.names import Names
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.schema import metadata
from mcptunnel.store.tables import REVISION


class _Undone(Exception):
    """Ends a transaction whose effect is not wanted."""


def _described(connection: Connection) -> dict[str, Any]:
    """Return all tables as the database itself describes them, but the one of Alembic."""
    inspector = inspect(connection)

    def ordered(entries: Iterable[Any]) -> list[str]:
        return sorted(str(sorted(entry.items(), key=repr)) for entry in entries)

    return {
        table: [
            ordered({**column, "type": str(column["type"])} for column in columns),
            inspector.get_pk_constraint(table)["constrained_columns"],
            ordered(inspector.get_indexes(table)),
            ordered(inspector.get_unique_constraints(table)),
            ordered(inspector.get_foreign_keys(table)),
        ]
        for table in inspector.get_table_names()
        for columns in [inspector.get_columns(table)]
        if table != "alembic_version"
    }


def test_from_empty_the_migrations_make_the_tables(database: Database) -> None:
    """Those that the code names, with the same columns, keys, indexes and constraints."""
    wanted: list[dict[str, Any]] = []

    def make(connection: Connection) -> None:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        wanted.append(_described(connection))
        raise _Undone

    def difference(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    with pytest.raises(_Undone):
        database.write(make)
    assert database.read(_described) == wanted[-1]
    assert wanted[-1].keys() == metadata.tables.keys()
    assert database.read(difference) == []
    assert database.read(current_revision) == REVISION


def test_the_newest_migration_is_the_one_we_name() -> None:
    """`REVISION` spares a start from loading Alembic; it must be true."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_opening_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(tmp_path / "x.db").close()
    monkeypatch.setattr(module, "MIGRATIONS", tmp_path / "nowhere")
    Database(tmp_path / "x.db").close()


def test_a_newer_store_is_left_alone_and_says_so(tmp_path: Path) -> None:
    def tamper(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with Database(tmp_path / "x.db") as database:
        database.write(tamper)
    with pytest.raises(StoreError, match=r"schema 9999.*newer mcptunnel"):
        Database(tmp_path / "x.db")


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """It all happens in one transaction, so the next start can try again."""

    def fail(connection: Connection) -> None:
        connection.execute(text("DROP TABLE api_key"))
        connection.execute(text("DROP TABLE alembic_version"))
        # `device` is still there, so making it fails after `api_key` was made again.
        migrate(connection)

    with Database(tmp_path / "x.db") as database:
        with pytest.raises(StoreError, match="device already exists"):
            database.write(fail)
        assert database.read(current_revision) == REVISION


def _back_to(connection: Connection, revision: str) -> None:
    """Make the database what an older version left behind, empty."""
    metadata.drop_all(connection)  # children before their parents
    connection.execute(text("DROP TABLE alembic_version"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@pytest.mark.parametrize(
    ("revision", "table", "row", "kind"),
    [
        ("0002", "tool_name", ("files__read", "i1", "files", "read", 5.0), "tool"),
        ("0004", "bound_name", ("tool", "files__read", "i1", "files", "read", 5.0), "tool"),
        ("0004", "bound_name", ("uri", "file:///ü", "i1", "files", "file:///ü", 5.0), "uri"),
    ],
)
def test_names_of_older_versions_stay_bound(
    database: Database, revision: str, table: str, row: tuple[object, ...], kind: str
) -> None:
    """Those of tools from before there were prompts, and all from before they had a hash."""
    values = ("local", "alice", *row)

    def change(connection: Connection) -> None:
        _back_to(connection, revision)
        places = ", ".join(f":v{number}" for number in range(len(values)))
        row = {f"v{number}": value for number, value in enumerate(values)}
        connection.execute(text(f"INSERT INTO {table} VALUES ({places})"), row)
        migrate(connection)

    database.write(change)
    alice, name = Principal("local", "alice"), values[-5:-1]
    assert database.read(lambda connection: Names(connection).list()) == {(alice, kind): [name]}
    # It is known by its name, too.
    database.write(lambda connection: Names(connection).forget(alice, kind, [str(name[0])]))
    assert not database.read(lambda connection: Names(connection).list())


def test_devices_and_grants_of_older_versions_stay(database: Database) -> None:
    """None is revoked, and none has used a grant that is known."""

    def change(connection: Connection) -> None:
        _back_to(connection, "0006")
        device = "'local', 'alice', 'i1', 'laptop', 1.0, 2.0"
        connection.execute(text(f"INSERT INTO device VALUES ({device})"))
        columns = (
            "id, issuer, subject, client_id, resource, scopes, created_s, last_used_s, expires_s"
        )
        values = "'f1', 'local', 'alice', 'mcptunnel-agent', 'https://r', 'agent', 1.0, 2.0, 99.0"
        connection.execute(text(f"INSERT INTO token_family ({columns}) VALUES ({values})"))
        migrate(connection)

    database.write(change)
    (device,) = database.read(lambda connection: Devices(connection).list())
    assert (device.name, device.last_seen_s, device.revoked_s) == ("laptop", 2.0, None)
    (family,) = database.read(lambda connection: Families(connection).list(3.0))
    assert (family.id, family.created_s) == ("f1", 1.0)
    assert database.read(lambda c: DeviceUses(c).of_grants(["f1"])) == {"f1": []}
