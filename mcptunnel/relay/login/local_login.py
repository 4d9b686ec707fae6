"""The built-in login: names and passwords of this relay (threats 13 and 31)."""

from collections.abc import Callable
from typing import Final

from mcptunnel.auth import local_users
from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login.auditing import Event, audit
from mcptunnel.relay.login.changes import Newcomer, find_local, join
from mcptunnel.relay.login.passwords import PasswordHashes
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.login.throttle import SignInThrottle
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.people.invitations import InvitationKind
from mcptunnel.store.people.passwords import Password, Passwords
from mcptunnel.store.people.users import User

WRONG: Final = "The user name or the password is wrong."
DISABLED: Final = "This user may not sign in. Ask whoever runs this relay."


class RefusedError(McpTunnelError):
    """Nobody signed in; `str()` is for the person, and does not say who is a user."""


class LocalLogin:
    """Signs people in by name and password, and lets new ones choose both."""

    def __init__(
        self,
        store: Store,
        hashes: PasswordHashes,
        throttle: SignInThrottle,
        *,
        epoch_s: Callable[[], float],
        revoked: Callable[[Revoked], None],
    ) -> None:
        self._store = store
        self._hashes = hashes
        self._throttle = throttle
        self._epoch_s = epoch_s
        self._revoked = revoked

    async def sign_in(self, name: str, password: str, address: str) -> Person:
        """Return who somebody is. Raises RefusedError, and BusyError for one who tries too often."""
        typed = local_users.user_name(name)
        self._count(address, typed)
        user, stored = await self._store.read(lambda connection: _find(connection, typed))
        argon2 = None if stored is None else stored.argon2
        chosen = local_users.password(password)
        is_right = await self._hashes.is_right(argon2, chosen)
        if user is None or argon2 is None or not is_right:
            await self._refused(user, address, "password" if user else "name")
            raise RefusedError(WRONG)
        if user.disabled_s is not None:
            await self._refused(user, address, "disabled")
            raise RefusedError(DISABLED)
        self._throttle.succeeded(address, typed)
        if self._hashes.is_weak(argon2):
            await self._strengthen(user.principal.subject, argon2, chosen)
        return _person(user)

    async def join(
        self, kind: InvitationKind, token_hash: bytes, name: str, password: str, address: str
    ) -> Person:
        """Return who somebody is who came by a link and chose name and password, both checked.

        Raises LinkOverError, NameTakenError, and BusyError.
        """
        self._count(address)
        argon2 = await self._hashes.hash(local_users.password(password))
        newcomer, now_s = Newcomer(name, argon2), self._epoch_s()
        user, revoked = await self._store.write(
            lambda connection: join(
                connection, kind, token_hash, newcomer, now_s=now_s, address=address
            )
        )
        if revoked is not None:
            self._revoked(revoked)
        self._throttle.succeeded(address, name)
        return _person(user)

    def _count(self, address: str, name: str = "") -> None:
        wait_s = self._throttle.wait_s(address, name)
        if wait_s:
            raise BusyError("Too many attempts", wait_s, is_fault_of_client=True)

    async def _strengthen(self, name: str, old: str, password: str) -> None:
        new = await self._hashes.hash(password)
        await self._store.write(lambda connection: Passwords(connection).rehash(name, old, new))

    async def _refused(self, user: User | None, address: str, reason: str) -> None:
        # A name that is none may be a password in the wrong field: it is not written down.
        principal: Principal | None = None if user is None else user.principal
        now_s = self._epoch_s()
        await self._store.write(
            lambda connection: audit(
                connection,
                Event.REFUSED,
                at_s=now_s,
                principal=principal,
                address=address,
                detail={"reason": reason},
            )
        )


def _find(connection: Transaction, typed: str) -> tuple[User | None, Password | None]:
    user = find_local(connection, typed)
    name = typed if user is None else user.principal.subject
    return user, Passwords(connection).find(name)


def _person(user: User) -> Person:
    return Person(user.principal, user.display_name, user.email)
