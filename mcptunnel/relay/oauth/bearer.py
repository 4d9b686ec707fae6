"""Access tokens as bearer tokens (`relay.credentials.BearerCheck`), and their grants (`relay.in_use.Grants`)."""

from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.auth.tokens import TokenKind, parse
from mcptunnel.relay.access import Access, Revoked, holder
from mcptunnel.store.engine import Store
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.families import Families

TOUCH_EVERY_S: Final = 60.0
MAX_TOUCHED: Final = 10_000


class AccessTokenCheck:
    """Finds what an access token opens, and notes now and then that its grant is in use.

    `epoch_s` is the time of day.
    """

    _log = Logger()

    prefix = TokenKind.ACCESS.value

    def __init__(self, store: Store, epoch_s: Callable[[], float]) -> None:
        self._store = store
        self._epoch_s = epoch_s
        self._touched_s: dict[str, float] = {}

    async def find(self, token: str) -> Access | None:
        """Return what a token opens; None for one that is unknown, or has ended with its family."""
        parsed = parse(token)
        if parsed is None or parsed.kind is not TokenKind.ACCESS:
            return None
        token_hash, now_s = parsed.hash, self._epoch_s()
        found = await self._store.read(
            lambda connection: AccessTokens(connection).find(token_hash, now_s)
        )
        if found is None:
            return None
        return Access(
            principal=found.principal,
            client=holder(found.token.family_id, found.client_id),
            grant_id=found.token.family_id,
            credential_id=credential_id(token_hash),
            scopes=found.token.scopes,
            client_id=found.client_id,
            expires_s=found.token.expires_s,
            audience=found.token.audience,
            granted_s=found.granted_s,
        )

    async def renewable(self, grant_ids: Collection[str]) -> Mapping[str, float]:
        now_s = self._epoch_s()
        return await self._store.read(
            lambda connection: Families(connection).renewable(grant_ids, now_s)
        )

    def used(self, access: Access) -> None:
        now_s, family_id = self._epoch_s(), access.grant_id
        if now_s - self._touched_s.get(family_id, -inf) < TOUCH_EVERY_S:
            return
        self._touched_s[family_id] = now_s
        if len(self._touched_s) > MAX_TOUCHED:
            del self._touched_s[next(iter(self._touched_s))]
        touching: Deferred[None] = self._store.write(
            lambda connection: Families(connection).touch(family_id, now_s)
        )
        touching.addErrback(lambda failure: self._log.failure("cannot note a use", failure))

    def revoked(self, revoked: Revoked) -> None:
        if revoked.grant_id is not None:
            self._touched_s.pop(revoked.grant_id, None)


def credential_id(token_hash: bytes) -> str:
    """Return the name of a token, which is no secret: only who has the token can tell it."""
    return token_hash.hex()
