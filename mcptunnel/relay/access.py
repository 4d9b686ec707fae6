"""Who a request comes from: a credential that was checked."""

from dataclasses import dataclass

from mcptunnel.auth.keys import Scope
from mcptunnel.model import Principal


@dataclass(frozen=True, slots=True)
class Access:
    """What a valid credential gives. `client` names the credential's holder, never its secret."""

    principal: Principal
    client: str
    key_id: str
    scope: Scope


def client_of(key_id: str) -> str:
    """Return the name of the client that holds a key."""
    return f"key:{key_id}"
