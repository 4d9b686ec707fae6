"""The tables about people. Secrets are stored as SHA-256 digests, passwords as argon2 hashes."""

from sqlalchemy import Column, Index, String, Table, Text

from mcptunnel.store.columns import Digest, issuer, subject, time, time_or_never, words
from mcptunnel.store.tables import metadata

user = Table(
    "user",
    metadata,
    issuer(primary_key=True),
    subject(primary_key=True),
    words("display_name"),
    Column("email", Text),
    time_or_never("disabled_s"),
    time("created_s"),
    time("last_seen_s"),
)

local_password = Table(
    "local_password",
    metadata,
    subject(primary_key=True),
    words("argon2"),
    time("changed_s"),
)

invitation = Table(
    "invitation",
    metadata,
    Column("token_hash", Digest, primary_key=True),
    Column("kind", String(16), nullable=False),
    words("label"),
    Column("for_subject", String(255)),
    issuer(nullable=True),
    subject(nullable=True),
    time("created_s"),
    time("expires_s"),
    time_or_never("used_s"),
    Index("invitation_expires", "expires_s"),
)

browser_session = Table(
    "browser_session",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("secret_hash", Digest, nullable=False, unique=True),
    issuer(nullable=True),
    subject(nullable=True),
    words("sealed_csrf"),
    words("label"),
    time("created_s"),
    time("last_used_s"),
    time("expires_s"),
    Index("browser_session_principal", "issuer", "subject"),
    Index("browser_session_expires", "expires_s"),
    Index("browser_session_last_used", "last_used_s"),
)
