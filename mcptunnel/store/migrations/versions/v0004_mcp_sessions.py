"""Sessions of legacy MCP clients."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "mcp_session",
        sa.Column("id_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("capabilities", sa.LargeBinary, nullable=False),
        sa.Column("client_info", sa.LargeBinary),
        sa.Column("log_level", sa.String(16)),
        sa.Column("subscriptions", sa.Text, nullable=False),
        sa.Column("used_s", sa.Float(53), nullable=False),
    )
