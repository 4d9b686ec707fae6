"""Devices can be revoked, and it is known which grants and keys they used."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_DEVICE = ["issuer", "subject", "installation_id"]


def upgrade() -> None:
    """Mark devices, and tie them to what they used; no grant was ever tied to one before."""
    op.add_column("device", sa.Column("revoked_s", sa.Float(53)))
    op.drop_column("token_family", "installation_id")
    _used("device_grant", sa.Column("family_id", sa.String(64), primary_key=True), "token_family")
    op.create_index("device_grant_family", "device_grant", ["family_id"])
    _used("device_key", sa.Column("key_id", sa.String(12), primary_key=True), "api_key")


def _used(name: str, column: sa.Column[str], parent: str) -> None:
    op.create_table(
        name,
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("installation_id", sa.String(64), primary_key=True),
        column,
        sa.ForeignKeyConstraint(_DEVICE, [f"device.{one}" for one in _DEVICE], ondelete="CASCADE"),
        sa.ForeignKeyConstraint([column.name], [f"{parent}.id"], ondelete="CASCADE"),
    )
