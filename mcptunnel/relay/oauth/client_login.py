"""Which client sends a request to an endpoint for programs: authenticated, and no assertion twice."""

import hashlib
from typing import Final

from mcptunnel.auth.client_assertions import AssertionUse
from mcptunnel.auth.client_authentication import (
    ClientCredentials,
    authenticate,
    failed,
    read_credentials,
)
from mcptunnel.auth.clients import AuthMethod, Client
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.jose import JoseError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.oauth.clients import ClientDirectory, KeySets
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.store.oauth.assertions import Assertions

_BETWEEN: Final = b"\0"


class ClientLogin:
    """Authenticates clients at the token, revocation and device authorization endpoints."""

    def __init__(self, around: Surroundings, directory: ClientDirectory, keys: KeySets) -> None:
        self._around = around
        self._directory = directory
        self._keys = keys

    async def client(
        self, parameters: Parameters, authorization: str | None, address: str
    ) -> Client:
        """Return who sent a request from an address; `authorization` is that header.

        Raises OAuthError, BusyError.
        """
        presented = read_credentials(parameters, authorization)
        client = await self._directory.find(presented.client_id, asker=address)
        if client is None:
            raise failed()
        use = await self._check(presented, client, address)
        if use is not None:
            await self._use_once(use)
        return client

    async def _check(
        self, presented: ClientCredentials, client: Client, address: str
    ) -> AssertionUse | None:
        now_s = self._around.epoch_s()
        issuer = self._around.settings.issuer
        if presented.method is not AuthMethod.PRIVATE_KEY_JWT:
            return authenticate(presented, client, issuer=issuer, key_set=None, now_s=now_s)
        keys = await self._keys.keys(client, asker=address)
        try:
            return authenticate(presented, client, issuer=issuer, key_set=keys, now_s=now_s)
        except OAuthError as error:
            if not isinstance(error.__cause__, JoseError) or not error.__cause__.stale_keys:
                raise
            newer = await self._keys.newer_keys(client, asker=address)
            if newer is None:
                raise
        return authenticate(presented, client, issuer=issuer, key_set=newer, now_s=now_s)

    async def _use_once(self, use: AssertionUse) -> None:
        key = hashlib.sha256(
            _BETWEEN.join((use.client_id.encode(), use.jti.encode("utf-8", "surrogatepass")))
        ).digest()
        now_s = self._around.epoch_s()
        if not await self._around.store.write(
            lambda connection: Assertions(connection).use(key, expires_s=use.forget_s, now_s=now_s)
        ):
            raise failed()
