"""The migrations lead from nothing to the tables, and never backwards."""

from pathlib import Path

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
from mcptunnel.store.errors import StoreError
from mcptunnel.store.migrate import MIGRATIONS, current_revision, migrate
from mcptunnel.store.names import Names
from mcptunnel.store.tables import REVISION, metadata


def test_from_empty_the_migrations_make_the_tables(tmp_path: Path) -> None:
    def difference(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    with Database(tmp_path / "x.db") as database:
        assert database.read(difference) == []
        assert database.read(current_revision) == REVISION
        names = database.read(lambda connection: inspect(connection).get_table_names())
    assert names == ["alembic_version", "api_key", "bound_name", "device", "mcp_session"]


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


def test_names_of_tools_move_to_the_table_of_all_names(tmp_path: Path) -> None:
    """What was bound before there were prompts stays bound."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    path = tmp_path / "x.db"

    def old(connection: Connection) -> None:
        for table in ("mcp_session", "bound_name", "api_key", "device", "alembic_version"):
            connection.execute(text(f"DROP TABLE {table}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        row = "('local', 'alice', 'files__read', 'i1', 'files', 'read', 5.0)"
        connection.execute(text(f"INSERT INTO tool_name VALUES {row}"))

    with Database(path) as database:
        database.write(old)
    with Database(path) as database:
        names = database.read(lambda connection: Names(connection).list())
        assert database.read(lambda connection: inspect(connection).has_table("bound_name"))
    alice = Principal("local", "alice")
    assert names == {(alice, "tool"): [("files__read", "i1", "files", "read")]}
