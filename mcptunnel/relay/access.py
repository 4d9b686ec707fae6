"""Who a request comes from, and what ends when that access is taken away."""

from collections.abc import Collection
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from mcptunnel.mcp.service import client_of_session
from mcptunnel.model import Principal

_OF_KEYS = "key:"
_OF_GRANTS = "oauth:"


class Access(Struct, frozen=True):
    """What a valid credential gives.

    `client` names the holder, never a secret: whatever is remembered between requests is for this name
    of this principal alone. `grant_id` is what lasts while tokens are renewed, the grant or the key
    itself; `credential_id` is the one token or key that was shown. `client_id` is the OAuth client's,
    "" for keys; `device_id` an agent's installation, once it is known. `expires_s` is a time of day,
    None if it does not expire, and so is `granted_s`, when the grant or the key was made; what is not known
    is older than anything.
    `audience` is the one resource that a token opens (`auth.resources`), None for keys.
    `session` names the legacy session that asks, where it is one (`client_half.session.name_of`).
    """

    principal: Principal
    client: str
    grant_id: str
    credential_id: str
    scopes: Collection[str]
    client_id: str = ""
    device_id: str = ""
    expires_s: float | None = None
    audience: str | None = None
    session: str = ""
    granted_s: float = 0.0

    @property
    def asker(self) -> str:
        """What servers tell clients apart by: each legacy session, else the credential's holder."""
        return client_of_session(self.client, self.session) if self.session else self.client

    def of_session(self, session: str) -> "Access":
        """Return what one legacy session has of it."""
        return replace(self, session=session)


@dataclass(frozen=True, slots=True)
class Revoked:
    """What was taken away: all that has every identity named here. At least one must be."""

    principal: Principal | None = None
    grant_id: str | None = None
    credential_id: str | None = None
    client_id: str | None = None
    device_id: str | None = None

    def __post_init__(self) -> None:
        named = (self.principal, self.grant_id, self.credential_id, self.client_id, self.device_id)
        if not any(named):
            raise ValueError("Nothing is named that is revoked")

    def takes(self, access: Access) -> bool:
        """Whether it takes an access away."""
        return (
            (self.principal is None or self.principal == access.principal)
            and (self.grant_id is None or self.grant_id == access.grant_id)
            and (self.credential_id is None or self.credential_id == access.credential_id)
            and (self.client_id is None or self.client_id == access.client_id)
            and (self.device_id is None or self.device_id == access.device_id)
        )

    def takes_holder(self, principal: str, client: str) -> bool:
        """Whether it takes all access of a holder away, whose sessions end then.

        One token or one device is not all.
        """
        if self.credential_id is not None or self.device_id is not None:
            return False
        grant_id, client_id = _read_holder(client)
        return (
            (self.principal is None or str(self.principal) == principal)
            and (self.grant_id is None or self.grant_id == grant_id)
            and (self.client_id is None or self.client_id == client_id)
        )


def holder(grant_id: str, client_id: str = "") -> str:
    """Return the name of who holds a grant; a key if there is no OAuth client. No grant's id has a `:`."""
    return f"{_OF_GRANTS}{grant_id}:{client_id}" if client_id else f"{_OF_KEYS}{grant_id}"


def is_same_client(one: str, other: str) -> bool:
    """Whether two holders are one and the same OAuth client, by whatever grant; a key is only itself.

    Of one person, this is the client that came back with more scopes: it goes on where it was.
    """
    client_id = _read_holder(one)[1]
    return one == other or (client_id != "" and client_id == _read_holder(other)[1])


def _read_holder(name: str) -> tuple[str, str]:
    """Return the grant and the OAuth client of what `holder` made."""
    if name.startswith(_OF_KEYS):
        return name.removeprefix(_OF_KEYS), ""
    grant_id, _, client_id = name.removeprefix(_OF_GRANTS).partition(":")
    return grant_id, client_id


def access_of_key(principal: Principal, key_id: str, scope: str, created_s: float = 0.0) -> Access:
    """Return what an API key gives: it is its own grant."""
    return Access(principal, holder(key_id), key_id, key_id, (scope,), granted_s=created_s)
