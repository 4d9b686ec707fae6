"""Whether an access token opens an MCP endpoint (RFC 6750, section 3.1; threat 18)."""

from enum import Enum

from mcptunnel.auth.grants import AccessToken, Family
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.resources import is_audience
from mcptunnel.auth.scopes import satisfies


class Verdict(Enum):
    """What to answer: go on, 401 with `invalid_token`, 403 with `insufficient_scope`."""

    ALLOWED = "allowed"
    INVALID = "invalid"
    INSUFFICIENT_SCOPE = "insufficient scope"


def check_access(
    token: AccessToken | None,
    family: Family | None,
    *,
    issuer: Issuer,
    path: str,
    scope: str,
    now_s: float,
) -> Verdict:
    """Decide about a token at a request path. A token for another endpoint is as good as none."""
    if not is_live(token, family, now_s):
        return Verdict.INVALID
    if token is None or not is_audience(issuer, token.resource, path):
        return Verdict.INVALID
    return Verdict.ALLOWED if satisfies(token.scopes, scope) else Verdict.INSUFFICIENT_SCOPE


def is_live(token: AccessToken | None, family: Family | None, now_s: float) -> bool:
    """Tell whether a token still counts: what long streams and links ask again and again."""
    if token is None or family is None or token.family != family.id:
        return False
    return now_s < token.expires_s and family.is_live(now_s)
