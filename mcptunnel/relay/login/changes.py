"""What can be done about users, each within one transaction: by the relay, and by commands without one.

Links hold a token that is used once; only its hash comes here.
"""

from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.local_users import folded
from mcptunnel.errors import McpTunnelError
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login.auditing import Event, audit
from mcptunnel.store.audited_keys import end_key
from mcptunnel.store.devices import Devices
from mcptunnel.store.engine import Transaction
from mcptunnel.store.keys import Keys
from mcptunnel.store.people.invitations import Invitation, InvitationKind, Invitations
from mcptunnel.store.people.passwords import Passwords
from mcptunnel.store.people.users import User, Users
from mcptunnel.store.revocation import end_user

SETUP_S: Final = 15 * 60.0
INVITATION_S: Final = 7 * 86_400.0
RESET_S: Final = 86_400.0

_LIFETIMES_S: Final = {
    InvitationKind.SETUP: SETUP_S,
    InvitationKind.INVITATION: INVITATION_S,
    InvitationKind.RESET: RESET_S,
}
_EVENTS: Final = {
    InvitationKind.SETUP: Event.SETUP_OFFERED,
    InvitationKind.INVITATION: Event.INVITED,
    InvitationKind.RESET: Event.RESET_OFFERED,
}


class LinkOverError(McpTunnelError):
    """A link that is unknown, was used, or is too old: nobody is told which."""

    def __init__(self) -> None:
        super().__init__("This link was used before, or it is too old.")


class NameTakenError(McpTunnelError):
    """A name that a new user cannot have."""


class NotPossibleError(McpTunnelError):
    """What a command asked for, and why it cannot be done."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What somebody chose who came by a link. `argon2` is the hash of the password."""

    name: str
    argon2: str


def local(name: str) -> Principal:
    """Return the user of the built-in login with a name."""
    return Principal(LOCAL_ISSUER, name)


def find_local(connection: Transaction, typed: str) -> User | None:
    """Return the local user whose name somebody typed, in whatever case."""
    found, wanted = None, folded(typed)
    for user in Users(connection).list():
        if user.principal.issuer == LOCAL_ISSUER:
            if user.principal.subject == typed:
                return user
            if folded(user.principal.subject) == wanted:
                found = user
    return found


def needs_setup(connection: Transaction) -> bool:
    """Tell whether nobody can sign in with a password yet."""
    return not Passwords(connection).count()


def offer(
    connection: Transaction,
    kind: InvitationKind,
    token_hash: bytes,
    *,
    now_s: float,
    name: str | None = None,
    by: Principal | None = None,
) -> float:
    """Store the hash of a new link's token; return when it expires. Raises NotPossibleError."""
    user = None if name is None else find_local(connection, name)
    if kind is InvitationKind.SETUP and not needs_setup(connection):
        raise NotPossibleError(
            "This relay has a user already. Invite others: mcptunnel users invite"
        )
    if kind is InvitationKind.INVITATION and user is not None:
        raise NotPossibleError(f"There is a user {user.principal.subject} already.")
    if kind is InvitationKind.RESET:
        if user is None:
            raise NotPossibleError(f"There is no user {name} with a password here.")
        name = user.principal.subject
    expires_s = now_s + _LIFETIMES_S[kind]
    Invitations(connection).add(
        Invitation(
            token_hash=token_hash,
            kind=kind,
            for_subject=name,
            created_by=by,
            created_s=now_s,
            expires_s=expires_s,
        )
    )
    detail = {} if name is None else {"name": name}
    audit(connection, _EVENTS[kind], at_s=now_s, principal=by, detail=detail)
    return expires_s


def join(
    connection: Transaction,
    kind: InvitationKind,
    token_hash: bytes,
    newcomer: Newcomer,
    *,
    now_s: float,
    address: str,
) -> tuple[User, Revoked | None]:
    """Use a link of a kind; return the user, and what of theirs has ended by that.

    Of all who try with one link, one succeeds; so does one for all setup links, ever. Raises
    LinkOverError and NameTakenError; then nothing was used up.
    """
    used = Invitations(connection).take(token_hash, now_s)
    if used is None or used.kind is not kind:
        raise LinkOverError
    if used.for_subject is not None and used.for_subject != newcomer.name:
        raise NameTakenError(f"This link is for {used.for_subject}.")
    if kind is InvitationKind.RESET:
        return _choose_again(connection, newcomer, now_s, address)
    if kind is InvitationKind.SETUP and not needs_setup(connection):
        raise LinkOverError
    is_free = kind is InvitationKind.SETUP or used.for_subject is not None
    _check_free(connection, newcomer.name, may_have_things=is_free)
    principal = local(newcomer.name)
    user = Users(connection).seen(principal, display_name=newcomer.name, email=None, now_s=now_s)
    # On PostgreSQL another one with the same name waited for the row until now.
    if Passwords(connection).find(newcomer.name) is not None:
        raise NameTakenError("This name is taken. Choose another one.")
    Passwords(connection).put(newcomer.name, newcomer.argon2, now_s)
    detail = {"by": kind.value} | ({"inviter": str(used.created_by)} if used.created_by else {})
    audit(
        connection, Event.CREATED, at_s=now_s, principal=principal, address=address, detail=detail
    )
    return user, None


def _choose_again(
    connection: Transaction, newcomer: Newcomer, now_s: float, address: str
) -> tuple[User, Revoked]:
    """Give a user another password: all that was reached with the old one ends (threat 8)."""
    principal = local(newcomer.name)
    user = Users(connection).find(principal)
    if user is None or user.disabled_s is not None:
        raise LinkOverError
    end_user(connection, principal, now_s=now_s, reason="password")
    _withdraw_links(connection, newcomer.name)
    Passwords(connection).put(newcomer.name, newcomer.argon2, now_s)
    audit(connection, Event.PASSWORD_CHOSEN, at_s=now_s, principal=principal, address=address)
    return user, Revoked(principal=principal)


def _withdraw_links(connection: Transaction, name: str) -> None:
    """End the links that are for a user: whoever has an old one must not get in by it."""
    for made in Invitations(connection).list():
        if made.for_subject == name:
            Invitations(connection).withdraw(made.token_hash)


def _check_free(connection: Transaction, name: str, *, may_have_things: bool) -> None:
    """Raise NameTakenError for a user's name, or one that owns something which is nobody else's to get."""
    principal = local(name)
    is_taken = find_local(connection, name) is not None
    if not (is_taken or may_have_things):
        is_taken = bool(Keys(connection).list(principal) or Devices(connection).list(principal))
    if is_taken:
        raise NameTakenError("This name is taken. Choose another one.")


def disable(connection: Transaction, principal: Principal, *, now_s: float) -> bool:
    """Keep a user out, and end all that they have; False if there is none, or that was so before."""
    if not Users(connection).disable(principal, now_s):
        return False
    end_user(connection, principal, now_s=now_s, reason="disabled")
    if principal.issuer == LOCAL_ISSUER:
        _withdraw_links(connection, principal.subject)
    audit(connection, Event.DISABLED, at_s=now_s, principal=principal)
    return True


def enable(connection: Transaction, principal: Principal, *, now_s: float) -> bool:
    """Let a user in again; False if there is none who was kept out."""
    if not Users(connection).enable(principal):
        return False
    audit(connection, Event.ENABLED, at_s=now_s, principal=principal)
    return True


def remove(connection: Transaction, principal: Principal, *, now_s: float) -> bool:
    """Forget a user with password and API keys, and end all that they have; False if there is none."""
    if not Users(connection).forget(principal):
        return False
    if principal.issuer == LOCAL_ISSUER:
        Passwords(connection).forget(principal.subject)
        _withdraw_links(connection, principal.subject)
    for key in Keys(connection).list(principal):
        end_key(connection, key.id, now_s)
    end_user(connection, principal, now_s=now_s, reason="removed")
    audit(connection, Event.REMOVED, at_s=now_s, principal=principal)
    return True
