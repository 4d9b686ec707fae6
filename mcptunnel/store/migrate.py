"""Brings a database to the newest schema."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from mcptunnel.store.errors import StoreError
from mcptunnel.store.tables import REVISION

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Run what is missing, inside the transaction that is open on `connection`.

    Raises `StoreError` for a schema that is not one of ours, a newer one above all.
    """
    current = current_revision(connection)
    if current == REVISION:
        return
    # Alembic costs more to import than the rest of the store; most starts do not need it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"the store has schema {current}, this version knows only up to {REVISION}."
            " It was written by a newer mcptunnel: install that version again."
        )
    command.upgrade(config, "head")


def current_revision(connection: Connection) -> str | None:
    """Return the schema's revision, or None for a database without one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision
