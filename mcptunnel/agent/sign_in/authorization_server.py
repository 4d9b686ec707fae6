"""The relay's authorization server, asked as an agent asks it: a public client, of which nothing is secret."""

from collections.abc import Mapping
from typing import Final

from mcptunnel.agent.sign_in.answers import (
    MAX_ANSWER_BYTES,
    DeviceCodes,
    RelayUnavailableError,
    ServerMetadata,
    read_device_codes,
    read_metadata,
    read_tokens,
)
from mcptunnel.agent.sign_in.grant import Tokens
from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.issuer import Endpoint
from mcptunnel.auth.metadata import AUTHORIZATION_SERVER
from mcptunnel.auth.pkce import METHOD, challenge_of
from mcptunnel.auth.redirects import with_parameters
from mcptunnel.auth.resources import TUNNEL_PATH
from mcptunnel.auth.scopes import AGENT_SCOPE, OFFLINE_ACCESS, join_scope
from mcptunnel.config.secret import Secret
from mcptunnel.net.http import Fetched, FetchError, Fetches, Limits

TIMEOUT_S: Final = 20.0
SCOPE: Final = join_scope((AGENT_SCOPE, OFFLINE_ACCESS))
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LIMITS: Final = Limits(max_bytes=MAX_ANSWER_BYTES, timeout_s=TIMEOUT_S)


def authorization_url(
    server: ServerMetadata, *, redirect_uri: str, state: str, verifier: str
) -> str:
    """Return where the browser begins (RFC 6749, 4.1.1; RFC 7636; RFC 8707)."""
    return with_parameters(
        server.authorization,
        [
            ("response_type", "code"),
            ("client_id", AGENT_CLIENT_ID),
            ("redirect_uri", redirect_uri),
            ("scope", SCOPE),
            ("resource", server.issuer + TUNNEL_PATH),
            ("state", state),
            ("code_challenge", challenge_of(verifier)),
            ("code_challenge_method", METHOD),
        ],
    )


class AuthorizationServer:
    """Requests to the relay with this origin.

    All raise RelayUnavailableError, and all that ask for something NoSignInError (`answers`).
    """

    def __init__(self, relay: str, fetches: Fetches) -> None:
        self.relay = relay
        self._fetches = fetches

    async def discover(self) -> ServerMetadata:
        """Return its metadata."""
        try:
            told = await self._fetches.get(self.relay + AUTHORIZATION_SERVER, _LIMITS)
        except FetchError as error:
            raise RelayUnavailableError(error.detail) from None
        return read_metadata(self.relay, told.status, told.body)

    async def exchange(
        self, server: ServerMetadata, *, code: str, verifier: str, redirect_uri: str
    ) -> Tokens:
        """Return the tokens for a code. Raises RefusedError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "resource": self.relay + TUNNEL_PATH,
        }
        return await self._tokens(server.token, form)

    async def renew(self, refresh_token: Secret) -> Tokens:
        """Return the tokens for a refresh token. Raises RefusedError."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.reveal(),
            "resource": self.relay + TUNNEL_PATH,
        }
        return await self._tokens(self.relay + Endpoint.TOKEN, form)

    async def begin_device(
        self, server: ServerMetadata, *, device_name: str, host_name: str
    ) -> DeviceCodes:
        """Ask for a code that a person types elsewhere. Raises RefusedError.

        The names are shown to that person.
        """
        form = {
            "scope": SCOPE,
            "resource": self.relay + TUNNEL_PATH,
            "device_name": device_name,
            "host_name": host_name,
        }
        told = await self._post(server.device or "", form)
        return read_device_codes(self.relay, told.status, told.body, told.retry_after_s)

    async def poll_device(self, server: ServerMetadata, device_code: str) -> Tokens:
        """Return the tokens for a device code. Raises RefusedError, also while nobody has decided."""
        return await self._tokens(
            server.token, {"grant_type": DEVICE_GRANT, "device_code": device_code}
        )

    async def revoke(self, refresh_token: Secret) -> None:
        """End a grant (RFC 7009)."""
        form = {"token": refresh_token.reveal(), "token_type_hint": "refresh_token"}
        told = await self._post(self.relay + Endpoint.REVOKE, form)
        if told.status != 200:  # noqa: PLR2004 - RFC 7009, 2.2
            raise RelayUnavailableError(f"the relay answered {told.status}")

    async def _tokens(self, url: str, form: Mapping[str, str]) -> Tokens:
        told = await self._post(url, form)
        return read_tokens(told.status, told.body, told.retry_after_s)

    async def _post(self, url: str, form: Mapping[str, str]) -> Fetched:
        try:
            return await self._fetches.post(url, {"client_id": AGENT_CLIENT_ID, **form}, _LIMITS)
        except FetchError as error:
            raise RelayUnavailableError(error.detail) from None
