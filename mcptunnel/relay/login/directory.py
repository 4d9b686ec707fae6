"""The users for whoever runs the relay: listed, invited, kept out, by the control socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth.local_users import MAX_NAME_CHARS, name_fault, user_name
from mcptunnel.auth.tokens import RANDOM_BYTES, hash_token, mint
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login import changes
from mcptunnel.relay.login.changes import NotPossibleError, offer
from mcptunnel.relay.login.links import TOKEN_KINDS, link_url
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.people.invitations import InvitationKind
from mcptunnel.store.people.users import User, Users

LINKS: Final = {
    "setup-link": InvitationKind.SETUP,
    "invite": InvitationKind.INVITATION,
    "reset-password": InvitationKind.RESET,
}
"""The kinds of links, as commands call them."""

NOT_LOCAL: Final = 'People do not have passwords at this relay: that takes auth.mode = "local".'


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that was made; nobody can see it again. `expires_s` is since the epoch."""

    url: str
    expires_s: float


class UserDirectory:
    """The users of one relay. `is_local` says that it has the built-in login.

    `random` gives that many random bytes, `epoch_s` the time of day; `revoked` hears of whom is kept out.
    """

    def __init__(
        self,
        store: Store,
        public_url: str,
        *,
        is_local: bool,
        random: Callable[[int], bytes],
        epoch_s: Callable[[], float],
        revoked: Callable[[Revoked], None],
    ) -> None:
        self._store = store
        self._public_url = public_url
        self._is_local = is_local
        self._random = random
        self._epoch_s = epoch_s
        self._revoked = revoked

    async def list(self) -> Sequence[User]:
        """Return everybody who ever signed in, in the order in which they first came."""
        return await self._store.read(lambda connection: Users(connection).list())

    async def make_link(self, kind: InvitationKind, name: str | None) -> MadeLink:
        """Make a link: for the first user, a new one, or another password. Raises NotPossibleError."""
        offering = offering_of(
            kind, name, is_local=self._is_local, random=self._random, now_s=self._epoch_s()
        )
        expires_s = await self._store.write(offering.offer)
        return MadeLink(link_url(self._public_url, kind, offering.token), expires_s)

    async def disable(self, principal: Principal) -> bool:
        """Keep a user out, and end at once what they have; False if that is no news."""
        now_s = self._epoch_s()
        return await self._end(principal, lambda c: changes.disable(c, principal, now_s=now_s))

    async def enable(self, principal: Principal) -> bool:
        """Let a user in again; False if there is none who was kept out."""
        now_s = self._epoch_s()
        return await self._store.write(lambda c: changes.enable(c, principal, now_s=now_s))

    async def remove(self, principal: Principal) -> bool:
        """Forget a user, and end at once what they have; False if there is none."""
        now_s = self._epoch_s()
        return await self._end(principal, lambda c: changes.remove(c, principal, now_s=now_s))

    async def _end(self, principal: Principal, change: Callable[[Transaction], bool]) -> bool:
        is_done = await self._store.write(change)
        if is_done:
            self._revoked(Revoked(principal=principal))
        return is_done


@dataclass(frozen=True, slots=True)
class Offering:
    """A link that is about to be made."""

    token: str
    offer: Callable[[Transaction], float]


def offering_of(
    kind: InvitationKind,
    name: str | None,
    *,
    is_local: bool,
    random: Callable[[int], bytes],
    now_s: float,
) -> Offering:
    """Return a link to make, and how. Raises NotPossibleError, as `offer` does."""
    if not is_local:
        raise NotPossibleError(NOT_LOCAL)
    if name is not None:
        name = user_name(name)
        if name_fault(name):
            raise NotPossibleError(
                f"A name is one line of at most {MAX_NAME_CHARS} characters that can be shown."
            )
    token = mint(TOKEN_KINDS[kind], random(RANDOM_BYTES))
    token_hash = hash_token(token)
    return Offering(
        token,
        lambda connection: offer(connection, kind, token_hash, now_s=now_s, name=name),
    )


def user_to_json(user: User) -> dict[str, Any]:
    """Return a user as the JSON object of `/api/v1/users`."""
    return {
        "issuer": user.principal.issuer,
        "user": user.principal.subject,
        "name": user.display_name,
        "email": user.email,
        "created_s": user.created_s,
        "last_seen_s": user.last_seen_s,
        "disabled_s": user.disabled_s,
    }
