"""`/revoke`: clients give tokens back (RFC 7009). What ends is told to all that is open."""

from mcptunnel.auth.clients import Client
from mcptunnel.auth.grants import AccessToken, FamilyId
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.revocation import Revocation, revoke, token_to_revoke
from mcptunnel.auth.scopes import in_order
from mcptunnel.auth.tokens import ParsedToken, TokenKind
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.relay.oauth.bearer import credential_id
from mcptunnel.relay.oauth.issuing import end
from mcptunnel.relay.oauth.records import known_family, known_refresh
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens

GIVEN_BACK = "given back by the client"


class GivingBack:
    """Ends what clients have no more use for."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def take(self, parameters: Parameters, client: Client, address: str) -> None:
        """Revoke a token, whatever it is, if it is the client's. Raises OAuthError."""
        token = token_to_revoke(parameters)
        if token is None:
            return
        now_s = self._around.epoch_s()
        ended = await self._around.store.write(
            lambda connection: _end(connection, token, client, address, now_s)
        )
        if ended is not None:
            self._around.revoked(ended)


def _end(
    connection: Transaction, token: ParsedToken, client: Client, address: str, now_s: float
) -> Revoked | None:
    if token.kind is TokenKind.ACCESS:
        return _end_access(connection, token.hash, client, address, now_s)
    kept = RefreshTokens(connection).find(token.hash)
    if kept is None or token.kind is not TokenKind.REFRESH:
        return None
    family = known_family(kept.family)
    decision = revoke(known_refresh(token.hash, kept), family, client.id)
    ended = end(connection, decision.family, now_s=now_s, reason=GIVEN_BACK)
    if ended is None:
        return None
    _tell(connection, Event.GRANT_REVOKED, client, family.principal, ended, address, now_s)
    return Revoked(grant_id=ended)


def _end_access(
    connection: Transaction, token_hash: bytes, client: Client, address: str, now_s: float
) -> Revoked | None:
    store = AccessTokens(connection)
    found = store.find(token_hash, now_s)
    kept = None if found is None else Families(connection).find(found.token.family_id)
    if found is None or kept is None:
        return None
    token = AccessToken(
        hash=token_hash,
        family=FamilyId(found.token.family_id),
        resource=found.token.audience,
        scopes=in_order(found.token.scopes),
        expires_s=found.token.expires_s,
    )
    decision: Revocation = revoke(token, known_family(kept), client.id)
    if decision.access_hash is None:
        return None
    store.revoke(decision.access_hash, now_s)
    _tell(connection, Event.TOKEN_REVOKED, client, kept.principal, kept.id, address, now_s)
    return Revoked(credential_id=credential_id(token_hash))


def _tell(
    connection: Transaction,
    event: Event,
    client: Client,
    principal: Principal,
    family_id: str,
    address: str,
    now_s: float,
) -> None:
    audit(
        connection,
        event,
        at_s=now_s,
        client=client,
        principal=principal,
        address=address,
        detail={"grant": family_id},
    )
