"""The names of tools, which stay what they are when the relay restarts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table of bound names."""
    op.create_table(
        "tool_name",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("installation_id", sa.String(64), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("bound_s", sa.Float(53), nullable=False),
    )
