"""What a provider publishes about itself: its description and its keys, fetched and kept."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.oidc.discovery import (
    DOCUMENT_LIFETIME_S,
    KEYS_LIFETIME_S,
    KEYS_REFETCH_S,
    MAX_DOCUMENT_BYTES,
    Provider,
    discovery_url,
    read_discovery,
)
from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.net.http import FetchError, Fetches, Limits
from mcptunnel.relay.login.kept import Kept

TIMEOUT_S: Final = 10.0
_LIMITS: Final = Limits(max_bytes=MAX_DOCUMENT_BYTES, timeout_s=TIMEOUT_S)


class ProviderDocuments:
    """The documents of one issuer. Of the times that `now_s` tells only differences matter."""

    def __init__(self, issuer: str, fetcher: Fetches, now_s: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetcher = fetcher
        self._provider = Kept(self._fetch_provider, lifetime_s=DOCUMENT_LIFETIME_S, now_s=now_s)
        self._keys = Kept(self._fetch_keys, lifetime_s=KEYS_LIFETIME_S, now_s=now_s)

    async def provider(self) -> Provider:
        """Return the checked description. Raises ProviderError, which is for the operator."""
        return await self._provider.get()

    async def keys(self) -> Mapping[str, Any]:
        """Return the key set. Raises ProviderError."""
        return await self._keys.get()

    async def newer_keys(self) -> Mapping[str, Any] | None:
        """Return the key set as it is now, or None if it was fetched a moment ago (threat 28).

        Raises ProviderError.
        """
        return await self._keys.newer(KEYS_REFETCH_S)

    def retry_in_s(self) -> float:
        """Return how long nothing will be asked, because it failed."""
        return max(self._provider.retry_in_s(), self._keys.retry_in_s())

    def stop(self) -> None:
        """End what is under way."""
        self._provider.stop()
        self._keys.stop()

    async def _fetch_provider(self) -> Provider:
        return read_discovery(await self._object(discovery_url(self._issuer)), self._issuer)

    async def _fetch_keys(self) -> Mapping[str, Any]:
        provider = await self._provider.get()
        found = await self._object(provider.jwks_uri)
        if not isinstance(found.get("keys"), list):
            raise ProviderError(f"The provider has no keys at {provider.jwks_uri}")
        return found

    async def _object(self, url: str) -> dict[str, Any]:
        try:
            got = await self._fetcher.get(url, _LIMITS)
        except FetchError as error:
            raise ProviderError(f"The provider cannot be reached: {error.detail}") from error
        if got.status != HTTPStatus.OK:
            raise ProviderError(f"The provider answered {got.status} for {url}")
        try:
            return parse_object(got.body, max_bytes=MAX_DOCUMENT_BYTES)
        except NotAnObjectError as error:
            raise ProviderError(
                f"The provider's answer for {url} cannot be read: {error}"
            ) from None
