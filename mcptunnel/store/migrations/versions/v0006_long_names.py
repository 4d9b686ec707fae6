"""Bound names are found by their hash: a URI may be too long for an index of PostgreSQL."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Move the names to a table with another key."""
    old = sa.Table("bound_name", sa.MetaData(), autoload_with=op.get_bind())
    rows = [
        {**row, "name_hash": hashlib.sha256(row["name"].encode()).digest()}
        for row in op.get_bind().execute(sa.select(old)).mappings()
    ]
    op.drop_table("bound_name")
    new = op.create_table(
        "bound_name",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("installation_id", sa.String(64), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("bound_s", sa.Float(53), nullable=False),
    )
    op.bulk_insert(new, rows)
