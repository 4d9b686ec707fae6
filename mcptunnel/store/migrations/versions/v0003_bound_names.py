"""Names of prompts, and URIs, beside those of tools."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make a table with a kind, and move the names of tools there."""
    op.create_table(
        "bound_name",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("installation_id", sa.String(64), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("bound_s", sa.Float(53), nullable=False),
    )
    op.execute(
        "INSERT INTO bound_name "
        "(issuer, subject, kind, name, installation_id, server, item, bound_s) "
        "SELECT issuer, subject, 'tool', name, installation_id, server, tool, bound_s "
        "FROM tool_name"
    )
    op.drop_table("tool_name")
