"""The tables of the authorization server. Every secret is stored as its SHA-256 digest."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from mcptunnel.store.columns import (
    Digest,
    client_id,
    device_columns,
    issuer,
    subject,
    time,
    time_or_never,
    words,
)
from mcptunnel.store.tables import metadata

client = Table(
    "client",
    metadata,
    Column("id", String(2048), primary_key=True),
    Column("kind", String(8), nullable=False),
    words("document"),
    Column("document_hash", Digest, nullable=False),
    Column("secret_hash", Digest),
    time("created_s"),
    time_or_never("last_used_s"),
    time_or_never("expires_s"),
    Index("client_document_hash", "document_hash"),
    Index("client_created", "kind", "created_s"),
    Index("client_expires", "expires_s"),
)

client_document = Table(
    "client_document",
    metadata,
    Column("url", String(2048), primary_key=True),
    Column("document", Text),
    time("fetched_s"),
    time("expires_s"),
    Index("client_document_expires", "expires_s"),
)

consent = Table(
    "consent",
    metadata,
    Column("key", Digest, primary_key=True),
    issuer(),
    subject(),
    client_id(),
    words("redirect_uri"),
    words("resource"),
    words("scopes"),
    time("granted_s"),
    Index("consent_principal", "issuer", "subject"),
    Index("consent_client", "client_id"),
)

auth_request = Table(
    "auth_request",
    metadata,
    Column("id_hash", Digest, primary_key=True),
    Column(
        "session_id",
        String(64),
        ForeignKey("browser_session.id", ondelete="CASCADE"),
        nullable=False,
    ),
    words("parameters"),
    Column("upstream_state_hash", Digest, unique=True),
    Column("sealed_upstream", Text),
    time("created_s"),
    time("expires_s"),
    Index("auth_request_session", "session_id"),
    Index("auth_request_expires", "expires_s"),
)

auth_code = Table(
    "auth_code",
    metadata,
    Column("code_hash", Digest, primary_key=True),
    issuer(),
    subject(),
    client_id(),
    words("redirect_uri"),
    words("challenge"),
    words("resource"),
    words("scopes"),
    Column("family_id", String(64), nullable=False),
    time("created_s"),
    time("expires_s"),
    time_or_never("used_s"),
    Index("auth_code_principal", "issuer", "subject"),
    Index("auth_code_client", "client_id"),
    Index("auth_code_expires", "expires_s"),
)

token_family = Table(
    "token_family",
    metadata,
    Column("id", String(64), primary_key=True),
    issuer(),
    subject(),
    client_id(),
    words("resource"),
    words("scopes"),
    time("created_s"),
    time("last_used_s"),
    time("expires_s"),
    time_or_never("revoked_s"),
    Column("reason", String(64)),
    Index("token_family_principal", "issuer", "subject"),
    Index("token_family_client", "client_id"),
    Index("token_family_expires", "expires_s"),
)


def _family_id() -> Column[str]:
    return Column(
        "family_id", String(64), ForeignKey("token_family.id", ondelete="CASCADE"), nullable=False
    )


device_grant = Table(
    "device_grant",
    metadata,
    *device_columns(),
    Column(
        "family_id",
        String(64),
        ForeignKey("token_family.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Index("device_grant_family", "family_id"),
)

access_token = Table(
    "access_token",
    metadata,
    Column("token_hash", Digest, primary_key=True),
    _family_id(),
    words("audience"),
    words("scopes"),
    time("created_s"),
    time("expires_s"),
    Index("access_token_family", "family_id"),
    Index("access_token_expires", "expires_s"),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("token_hash", Digest, primary_key=True),
    _family_id(),
    time("created_s"),
    time("expires_s"),
    time_or_never("rotated_s"),
    Column("reuses", Integer, nullable=False),
    Index("refresh_token_family", "family_id"),
    Index("refresh_token_expires", "expires_s"),
)

device_code = Table(
    "device_code",
    metadata,
    Column("code_hash", Digest, primary_key=True),
    Column("user_code_hash", Digest, nullable=False, unique=True),
    client_id(),
    words("resource"),
    words("scopes"),
    words("details"),
    Column("state", String(8), nullable=False),
    issuer(nullable=True),
    subject(nullable=True),
    Column("interval_s", Integer, nullable=False),
    time_or_never("last_poll_s"),
    Column("attempts", Integer, nullable=False),
    time("created_s"),
    time("expires_s"),
    Index("device_code_principal", "issuer", "subject"),
    Index("device_code_client", "client_id"),
    Index("device_code_expires", "expires_s"),
)

assertion = Table(
    "assertion",
    metadata,
    Column("key", Digest, primary_key=True),
    time("expires_s"),
    Index("assertion_expires", "expires_s"),
)
