"""Links to become a user, or to choose another password: a token in a URL, for a short while.

At the first request it moves into the browser session: what stays in the address bar, the history and
logs is a path without it.
"""

from collections.abc import Callable
from typing import Final

from mcptunnel.auth.tokens import TokenKind, hash_token
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.oauth.requests import AuthRequest, AuthRequests
from mcptunnel.store.people.invitations import Invitation, InvitationKind, Invitations

HELD_S: Final = 1_800.0
AT_MOST: Final = 10_000

TOKEN_KINDS: Final = {
    InvitationKind.SETUP: TokenKind.SETUP,
    InvitationKind.INVITATION: TokenKind.INVITATION,
    InvitationKind.RESET: TokenKind.INVITATION,
}
PATHS: Final = {
    InvitationKind.SETUP: "/setup",
    InvitationKind.INVITATION: "/invite",
    InvitationKind.RESET: "/reset",
}
TOKEN_FIELD: Final = "token"  # noqa: S105 - the name of a parameter

_HASH: Final = "link"


def link_url(public_url: str, kind: InvitationKind, token: str) -> str:
    """Return the link with a new token."""
    return f"{public_url}{PATHS[kind]}?{TOKEN_FIELD}={token}"


class HeldLinks:
    """Which link a browser session has come by. `epoch_s` is the time of day."""

    def __init__(self, store: Store, epoch_s: Callable[[], float]) -> None:
        self._store = store
        self._epoch_s = epoch_s

    async def hold(self, session_id: str, kind: InvitationKind, token: str) -> bool:
        """Keep the hash of a token for a session, in place of another; False if the link is not good."""
        now_s, token_hash, id_hash = self._epoch_s(), hash_token(token), _id(session_id)
        held = AuthRequest(
            id_hash=id_hash,
            session_id=session_id,
            parameters={_HASH: token_hash.hex()},
            created_s=now_s,
            expires_s=now_s + HELD_S,
        )

        def change(connection: Transaction) -> bool:
            if _find(connection, kind, token_hash, now_s) is None:
                return False
            AuthRequests(connection).replace(held, at_most=AT_MOST)
            return True

        return await self._store.write(change)

    async def held(self, session_id: str, kind: InvitationKind) -> Invitation | None:
        """Return the link of a kind that a session came by, if it is still good."""
        now_s = self._epoch_s()

        def query(connection: Transaction) -> Invitation | None:
            held = AuthRequests(connection).find(_id(session_id), session_id, now_s)
            if held is None:
                return None
            return _find(connection, kind, bytes.fromhex(held.parameters[_HASH]), now_s)

        return await self._store.read(query)


def _find(
    connection: Transaction, kind: InvitationKind, token_hash: bytes, now_s: float
) -> Invitation | None:
    found = Invitations(connection).find(token_hash, now_s)
    return found if found is not None and found.kind is kind else None


def _id(session_id: str) -> bytes:
    return hash_token(f"link of {session_id}")
