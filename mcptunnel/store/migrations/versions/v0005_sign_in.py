"""People, browser sessions, the authorization server, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables for signing in."""
    _user()
    _local_password()
    _invitation()
    _browser_session()
    _client()
    _client_document()
    _consent()
    _auth_request()
    _auth_code()
    _token_family()
    _access_token()
    _refresh_token()
    _device_code()
    _assertion()
    _audit_event()


def _user() -> None:
    op.create_table(
        "user",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("disabled_s", sa.Float(53)),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("last_seen_s", sa.Float(53), nullable=False),
    )


def _local_password() -> None:
    op.create_table(
        "local_password",
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("argon2", sa.Text, nullable=False),
        sa.Column("changed_s", sa.Float(53), nullable=False),
    )


def _invitation() -> None:
    op.create_table(
        "invitation",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("for_subject", sa.String(255)),
        sa.Column("issuer", sa.String(2048)),
        sa.Column("subject", sa.String(255)),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
        sa.Column("used_s", sa.Float(53)),
    )
    op.create_index("invitation_expires", "invitation", ["expires_s"])


def _browser_session() -> None:
    op.create_table(
        "browser_session",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("issuer", sa.String(2048)),
        sa.Column("subject", sa.String(255)),
        sa.Column("sealed_csrf", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("last_used_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("browser_session_expires", "browser_session", ["expires_s"])
    op.create_index("browser_session_last_used", "browser_session", ["last_used_s"])
    op.create_index("browser_session_principal", "browser_session", ["issuer", "subject"])


def _client() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.String(2048), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("document_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32)),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("last_used_s", sa.Float(53)),
        sa.Column("expires_s", sa.Float(53)),
    )
    op.create_index("client_created", "client", ["kind", "created_s"])
    op.create_index("client_document_hash", "client", ["document_hash"])
    op.create_index("client_expires", "client", ["expires_s"])


def _client_document() -> None:
    op.create_table(
        "client_document",
        sa.Column("url", sa.String(2048), primary_key=True),
        sa.Column("document", sa.Text),
        sa.Column("fetched_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("client_document_expires", "client_document", ["expires_s"])


def _consent() -> None:
    op.create_table(
        "consent",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("issuer", sa.String(2048), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(2048), nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("granted_s", sa.Float(53), nullable=False),
    )
    op.create_index("consent_client", "consent", ["client_id"])
    op.create_index("consent_principal", "consent", ["issuer", "subject"])


def _auth_request() -> None:
    op.create_table(
        "auth_request",
        sa.Column("id_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column(
            "session_id",
            sa.String(64),
            sa.ForeignKey("browser_session.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("upstream_state_hash", sa.LargeBinary(32), unique=True),
        sa.Column("sealed_upstream", sa.Text),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("auth_request_expires", "auth_request", ["expires_s"])
    op.create_index("auth_request_session", "auth_request", ["session_id"])


def _auth_code() -> None:
    op.create_table(
        "auth_code",
        sa.Column("code_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("issuer", sa.String(2048), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(2048), nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("challenge", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("family_id", sa.String(64), nullable=False),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
        sa.Column("used_s", sa.Float(53)),
    )
    op.create_index("auth_code_client", "auth_code", ["client_id"])
    op.create_index("auth_code_expires", "auth_code", ["expires_s"])
    op.create_index("auth_code_principal", "auth_code", ["issuer", "subject"])


def _token_family() -> None:
    op.create_table(
        "token_family",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("issuer", sa.String(2048), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(2048), nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("installation_id", sa.String(64)),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("last_used_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
        sa.Column("revoked_s", sa.Float(53)),
        sa.Column("reason", sa.String(64)),
    )
    op.create_index("token_family_client", "token_family", ["client_id"])
    op.create_index("token_family_expires", "token_family", ["expires_s"])
    op.create_index("token_family_principal", "token_family", ["issuer", "subject"])


def _access_token() -> None:
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column(
            "family_id",
            sa.String(64),
            sa.ForeignKey("token_family.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("access_token_expires", "access_token", ["expires_s"])
    op.create_index("access_token_family", "access_token", ["family_id"])


def _refresh_token() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column(
            "family_id",
            sa.String(64),
            sa.ForeignKey("token_family.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
        sa.Column("rotated_s", sa.Float(53)),
        sa.Column("reuses", sa.Integer, nullable=False),
    )
    op.create_index("refresh_token_expires", "refresh_token", ["expires_s"])
    op.create_index("refresh_token_family", "refresh_token", ["family_id"])


def _device_code() -> None:
    op.create_table(
        "device_code",
        sa.Column("code_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("user_code_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("client_id", sa.String(2048), nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("issuer", sa.String(2048)),
        sa.Column("subject", sa.String(255)),
        sa.Column("interval_s", sa.Integer, nullable=False),
        sa.Column("last_poll_s", sa.Float(53)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Float(53), nullable=False),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("device_code_client", "device_code", ["client_id"])
    op.create_index("device_code_expires", "device_code", ["expires_s"])
    op.create_index("device_code_principal", "device_code", ["issuer", "subject"])


def _assertion() -> None:
    op.create_table(
        "assertion",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("expires_s", sa.Float(53), nullable=False),
    )
    op.create_index("assertion_expires", "assertion", ["expires_s"])


def _audit_event() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("issuer", sa.String(2048)),
        sa.Column("subject", sa.String(255)),
        sa.Column("client_id", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("audit_event_at", "audit_event", ["at_s"])
    op.create_index("audit_event_principal", "audit_event", ["issuer", "subject", "id"])
