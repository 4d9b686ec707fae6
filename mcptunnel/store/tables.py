"""The tables of the store. A change here needs a migration and a new `REVISION`.

Times are seconds since the epoch. A principal is always the pair (issuer, subject).
"""

from typing import Final

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from mcptunnel.store.columns import Digest, device_columns

REVISION: Final = "0007"
"""The newest migration, so that an up-to-date store opens without loading Alembic."""

metadata = MetaData()

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("scope", String(32), nullable=False),
    Column("issuer", String(2048), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created_s", Float(53), nullable=False),
    Column("last_used_s", Float(53)),
    Column("revoked_s", Float(53)),
    Index("api_key_principal", "issuer", "subject"),
)

device = Table(
    "device",
    metadata,
    Column("issuer", String(2048), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("installation_id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("first_seen_s", Float(53), nullable=False),
    Column("last_seen_s", Float(53), nullable=False),
    Column("revoked_s", Float(53)),
)

device_key = Table(
    "device_key",
    metadata,
    *device_columns(),
    Column("key_id", String(12), ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True),
)

bound_name = Table(
    "bound_name",
    metadata,
    Column("issuer", String(2048), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("kind", String(16), primary_key=True),
    # Not the name itself: a URI may be longer than what PostgreSQL takes into an index.
    Column("name_hash", Digest, primary_key=True),
    Column("name", Text, nullable=False),
    Column("installation_id", String(64), nullable=False),
    Column("server", String(64), nullable=False),
    Column("item", Text, nullable=False),
    Column("bound_s", Float(53), nullable=False),
)

mcp_session = Table(
    "mcp_session",
    metadata,
    Column("id_hash", Digest, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("version", String(16), nullable=False),
    Column("capabilities", LargeBinary, nullable=False),
    Column("client_info", LargeBinary),
    Column("log_level", String(16)),
    Column("subscriptions", Text, nullable=False),
    Column("used_s", Float(53), nullable=False),
)
