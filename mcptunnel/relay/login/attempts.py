"""Sign-ins at a provider that are under way: kept with the browser session, sealed, and good once (threat 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.oidc.sign_in import LIFETIME_S, Attempt, pack, unpack
from mcptunnel.auth.tokens import hash_token
from mcptunnel.sealing import NONCE_BYTES, SealBrokenError, Sealer
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.oauth.requests import AuthRequest, AuthRequests

AT_MOST: Final = 10_000

_ID_BYTES: Final = 32
_PURPOSE: Final = "sign-in under way"
_NEXT: Final = "next"


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """A sign-in that a browser came back from; `next` is where the person goes on."""

    attempt: Attempt | None
    next: str


class SignInsUnderWay:
    """Keeps attempts between the redirect to the provider and the one back."""

    def __init__(
        self,
        store: Store,
        *,
        secret: Callable[[], bytes],
        random: Callable[[int], bytes],
        epoch_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._secret = secret
        self._random = random
        self._epoch_s = epoch_s

    async def keep(self, attempt: Attempt, session_id: str, next_path: str) -> None:
        """Keep an attempt for a browser session."""
        now_s, id_hash = self._epoch_s(), hash_token(self._random(_ID_BYTES).hex())
        expires_s = now_s + LIFETIME_S
        sealed = Sealer(self._secret(), _PURPOSE).seal(
            pack(attempt),
            nonce=self._random(NONCE_BYTES),
            expires_s=expires_s + 1,
            context=session_id.encode(),
        )
        kept = AuthRequest(
            id_hash=id_hash,
            session_id=session_id,
            parameters={_NEXT: next_path},
            created_s=now_s,
            expires_s=expires_s,
        )
        state_hash = hash_token(attempt.state)

        def change(connection: Transaction) -> None:
            requests = AuthRequests(connection)
            requests.add(kept, at_most=AT_MOST)
            requests.go_upstream(
                id_hash, session_id, state_hash=state_hash, sealed=sealed, now_s=now_s
            )

        await self._store.write(change)

    async def take(self, state: str, session_id: str) -> BegunSignIn | None:
        """Use the state that a browser came back with, once; None if it did not leave from that session."""
        now_s, state_hash = self._epoch_s(), hash_token(state)

        def change(connection: Transaction) -> AuthRequest | None:
            requests = AuthRequests(connection)
            back = requests.come_back(state_hash, session_id, now_s)
            return None if back is None else requests.take(back.id_hash, session_id, now_s)

        back = await self._store.write(change)
        if back is None or back.sealed_upstream is None:
            return None
        try:
            packed = Sealer(self._secret(), _PURPOSE).open(
                back.sealed_upstream, now_s=now_s, context=session_id.encode()
            )
        except SealBrokenError:
            return None
        return BegunSignIn(unpack(packed), back.parameters[_NEXT])
