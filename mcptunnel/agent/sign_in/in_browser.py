"""Signing in with a browser on this machine (RFC 8252)."""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import TimeoutError as LateError

from mcptunnel.agent.sign_in.answers import RefusedError, RelayUnavailableError, ServerMetadata
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer, authorization_url
from mcptunnel.agent.sign_in.grant import Tokens
from mcptunnel.agent.sign_in.redirect import Arrival, MixUpError, RedirectPort
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.pkce import VERIFIER_RANDOM_BYTES, new_verifier
from mcptunnel.errors import McpTunnelError

WAIT_S: Final = 600.0
_STATE_BYTES: Final = 32


class SignInFailedError(McpTunnelError):
    """Nobody was signed in; `str()` says why, as a sentence without a full stop."""


async def sign_in_in_browser(
    reactor: Any,
    asked: AuthorizationServer,
    server: ServerMetadata,
    *,
    random: Callable[[int], bytes],
    show: Callable[[str], None],
    wait_s: float = WAIT_S,
) -> Tokens:
    """Let a person sign in and return the tokens. Raises SignInFailedError, RelayUnavailableError.

    `show` gets the URL to open. There are `wait_s` for all that the person does.
    """
    verifier = new_verifier(random(VERIFIER_RANDOM_BYTES))
    state = urlsafe_b64encode(random(_STATE_BYTES)).rstrip(b"=").decode()
    port = RedirectPort(reactor, state=state, issuer=server.issuer)
    uri = port.redirect_uri
    try:
        show(authorization_url(server, redirect_uri=uri, state=state, verifier=verifier))
        arrival = await _arrival(reactor, port, wait_s)
        exchanging = asked.exchange(server, code=arrival.code, verifier=verifier, redirect_uri=uri)
        return await _tokens(arrival, exchanging)
    finally:
        await port.close()


async def _arrival(reactor: Any, port: RedirectPort, wait_s: float) -> Arrival:
    try:
        port.arrived.addTimeout(wait_s, reactor)
        return await port.arrived
    except LateError:
        raise SignInFailedError(f"Nobody signed in within {wait_s / 60:g} minutes") from None
    except RefusedError as refused:
        raise SignInFailedError(why(refused)) from None
    except (MixUpError, OAuthError) as error:
        raise SignInFailedError(str(error)) from None


async def _tokens(arrival: Arrival, exchanging: Awaitable[Tokens]) -> Tokens:
    """Return the tokens, and let the browser show what came of it."""
    try:
        tokens = await exchanging
    except (RefusedError, RelayUnavailableError) as error:
        arrival.show("Nobody was signed in", "The relay gave no tokens; the terminal says more.")
        if isinstance(error, RefusedError):
            raise SignInFailedError(why(error)) from None
        raise
    except BaseException:
        arrival.show("Nobody was signed in", "The command was ended.")
        raise
    arrival.show("Signed in", "You can close this window and go back to the terminal.")
    return tokens


def why(refused: RefusedError) -> str:
    """Return a refusal in words for a terminal."""
    if refused.code == "access_denied":
        return "You did not allow it"
    return f"The relay refused: {refused}"
