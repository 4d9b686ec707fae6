"""What all parts of the authorization server share: the store, the time of day, chance, and whom to tell."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mcptunnel.auth.tokens import RANDOM_BYTES, TokenKind, hash_token, mint
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.store.engine import Store


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: its text for whoever gets it, its hash for the store."""

    text: str = field(repr=False)
    hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`random` gives that many random bytes, `epoch_s` the time of day, `secret` the relay's secret.

    `revoked` hears of what the store gives no more, in the reactor's thread.
    """

    store: Store
    settings: OAuthSettings
    epoch_s: Callable[[], float]
    random: Callable[[int], bytes]
    secret: Callable[[], bytes]
    revoked: Callable[[Revoked], None]

    def mint(self, kind: TokenKind) -> Minted:
        """Return a new token."""
        text = mint(kind, self.random(RANDOM_BYTES))
        return Minted(text, hash_token(text))

    def new_id(self) -> str:
        """Return a new id, which says nothing and is no secret."""
        return self.random(16).hex()
