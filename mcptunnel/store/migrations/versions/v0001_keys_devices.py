"""API keys and devices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first two tables."""
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("issuer", sa.String(2048), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("last_used_s", sa.Float(53)),
        sa.Column("revoked_s", sa.Float(53)),
    )
    op.create_index("api_key_principal", "api_key", ["issuer", "subject"])
    op.create_table(
        "device",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("installation_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("first_seen_s", sa.Float(53), nullable=False),
        sa.Column("last_seen_s", sa.Float(53), nullable=False),
    )
