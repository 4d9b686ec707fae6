"""Token revocation (RFC 7009). The answer is 200 whatever was found: it tells nobody which tokens exist (threat 31)."""

from dataclasses import dataclass

from mcptunnel.auth.grants import AccessToken, Family, FamilyId, RefreshToken
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.tokens import ParsedToken, parse


@dataclass(frozen=True, slots=True)
class Revocation:
    """What ends: a whole family, or one access token by its hash, or nothing."""

    family: FamilyId | None = None
    access_hash: bytes | None = None


def token_to_revoke(parameters: Parameters) -> ParsedToken | None:
    """Return the token of a revocation request, or None when it cannot be one of ours.

    Its prefix says what it is, so `token_type_hint` is not needed. Raises OAuthError `invalid_request`
    when there is no `token`.
    """
    return parse(parameters.require("token"))


def revoke(
    token: AccessToken | RefreshToken | None, family: Family | None, client_id: str
) -> Revocation:
    """Decide what ends when an authenticated client gives a token back.

    With a refresh token, also a rotated one, all of its family ends (RFC 7009, 2.1); a token of another
    client stays.
    """
    if token is None or family is None or token.family != family.id:
        return Revocation()
    if family.client_id != client_id:
        return Revocation()
    if isinstance(token, RefreshToken):
        return Revocation(family=family.id)
    return Revocation(access_hash=token.hash)
