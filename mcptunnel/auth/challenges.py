"""`WWW-Authenticate` of the MCP endpoints (RFC 6750, section 3; RFC 9728, section 5.1; MCP, Authorization)."""

from collections.abc import Collection

from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.metadata import protected_resource_url
from mcptunnel.auth.resources import needed_scope
from mcptunnel.auth.scopes import step_up


def unauthorized(issuer: Issuer, path: str, *, token_presented: bool) -> str:
    """Return the challenge of a 401; an `error` only when a token was presented (RFC 6750, 3.1)."""
    error = [("error", ErrorCode.INVALID_TOKEN.value)] if token_presented else []
    metadata = [("resource_metadata", protected_resource_url(issuer, path))]
    return _bearer([*error, *metadata, ("scope", needed_scope(path))])


def insufficient_scope(
    issuer: Issuer, path: str, *, granted: Collection[str], needed: Collection[str]
) -> str:
    """Return the challenge of a 403: it names the union, so that the client loses nothing by asking again."""
    return _bearer(
        [
            ("error", ErrorCode.INSUFFICIENT_SCOPE.value),
            ("scope", " ".join(step_up(granted, needed))),
            ("resource_metadata", protected_resource_url(issuer, path)),
        ]
    )


def _bearer(members: list[tuple[str, str]]) -> str:
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in members)
