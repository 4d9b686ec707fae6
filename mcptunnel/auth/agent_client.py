"""The OAuth client that every agent is: the same at every relay, without a secret, known without registration.

It alone may ask for the scope `agent`, and for a device code (RFC 8628), because what it gets is worth
nothing at the endpoints of MCP clients.
"""

from typing import Final

from mcptunnel.auth.clients import AuthMethod, Client, ClientKind, GrantType
from mcptunnel.auth.scopes import AGENT_SCOPE, OFFLINE_ACCESS

AGENT_CLIENT_ID: Final = "mcptunnel-agent"

USER: Final = "user"
"""In a token answer: the name of who signed in. A person should see it where the sign-in began."""
AGENT_REDIRECTS: Final = ("http://127.0.0.1/callback", "http://[::1]/callback")
"""With any port: an agent listens on a free one while a person signs in (RFC 8252, section 7.3)."""

AGENT_CLIENT: Final = Client(
    id=AGENT_CLIENT_ID,
    kind=ClientKind.STATIC,
    name="mcptunnel agent",
    redirect_uris=AGENT_REDIRECTS,
    auth_methods=(AuthMethod.NONE,),
    grant_types=frozenset(GrantType),
    scopes=frozenset({AGENT_SCOPE, OFFLINE_ACCESS}),
)
