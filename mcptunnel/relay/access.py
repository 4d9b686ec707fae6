"""Who a request comes from: a credential that was checked."""

from dataclasses import dataclass, replace

from mcptunnel.auth.keys import Scope
from mcptunnel.mcp.service import client_of_session
from mcptunnel.model import Principal


@dataclass(frozen=True, slots=True)
class Access:
    """What a valid credential gives. `client` names the credential's holder, never its secret.

    `session` names the legacy session that asks, where it is one (`client_half.session.name_of`).
    """

    principal: Principal
    client: str
    key_id: str
    scope: Scope
    session: str = ""

    @property
    def asker(self) -> str:
        """What servers tell clients apart by: each legacy session, else the credential's holder."""
        return client_of_session(self.client, self.session) if self.session else self.client

    def of_session(self, session: str) -> "Access":
        """Return what one legacy session has of it."""
        return replace(self, session=session)


def client_of(key_id: str) -> str:
    """Return the name of the client that holds a key."""
    return f"key:{key_id}"
