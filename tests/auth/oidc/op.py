"""A provider and a sign-in at it, for tests."""

from typing import Any

from mcptunnel.auth.oidc.discovery import Provider, read_discovery
from mcptunnel.auth.oidc.sign_in import Attempt, RelyingParty, begin

OP = "https://op.example"
CLIENT = "mcptunnel"
NOW_S = 1000.0
PARTY = RelyingParty(client_id=CLIENT, redirect_uri="https://relay.example/callback")


def document(issuer: str = OP, **changes: Any) -> dict[str, Any]:
    """Return a discovery document; None takes a member away."""
    base = issuer.rstrip("/")
    members: dict[str, object] = {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/auth",
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def provider(issuer: str = OP, **changes: Any) -> Provider:
    return read_discovery(document(issuer, **changes), issuer)


def attempt(*, again: bool = False) -> Attempt:
    return begin(provider(), random=bytes(range(96)), now_s=NOW_S, again=again)
