"""The keys by which clients sign, fetched from their `jwks_uri` (threats 10 and 29)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from twisted.logger import Logger

from mcptunnel.auth.client_documents import FAILURE_LIFETIME_S, FETCH_TIMEOUT_S, lifetime_s
from mcptunnel.auth.client_keys import KEYS_REFETCH_S, MAX_KEY_SET_BYTES
from mcptunnel.auth.clients import Client
from mcptunnel.net.http import Limits
from mcptunnel.net.single_flight import SingleFlight
from mcptunnel.relay.oauth.fetching import DocumentFetcher, NotFetchedError

KeySet = Mapping[str, Any]

LIMITS: Final = Limits(max_bytes=MAX_KEY_SET_BYTES, timeout_s=FETCH_TIMEOUT_S)
MAX_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: KeySet | None
    asked_s: float
    until_s: float


class ClientKeySets:
    """Finds the keys of clients, and keeps some of them. Of `now_s` only differences matter."""

    _log = Logger()

    def __init__(self, fetcher: DocumentFetcher, now_s: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._now_s = now_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._flights: SingleFlight[KeySet | None] = SingleFlight()

    def __len__(self) -> int:
        return len(self._kept)

    async def keys(self, client: Client, *, asker: str) -> KeySet | None:
        """Return a client's keys, or None if it has none that can be had.

        Raises `fetching.TooManyFetchesError`.
        """
        if client.jwks_uri is None:
            return client.jwks
        kept = self._kept.get(client.jwks_uri)
        if kept is not None and self._now_s() < kept.until_s:
            self._kept.move_to_end(client.jwks_uri)
            return kept.keys
        return await self._join(client.jwks_uri, asker)

    async def newer_keys(self, client: Client, *, asker: str) -> KeySet | None:
        """Return a client's keys as they are now: it signed with one that is not known.

        None if they were fetched within the last minute, or cannot be had. Raises
        `fetching.TooManyFetchesError`.
        """
        uri = client.jwks_uri
        if uri is None:
            return None
        kept = self._kept.get(uri)
        is_new = kept is not None and self._now_s() - kept.asked_s < KEYS_REFETCH_S
        return None if is_new and uri not in self._flights else await self._join(uri, asker)

    def stop(self) -> None:
        """End what is under way."""
        self._flights.stop()

    async def _join(self, uri: str, asker: str) -> KeySet | None:
        return await self._flights.join(uri, partial(self._fetch, uri, asker))

    async def _fetch(self, uri: str, asker: str) -> KeySet | None:
        try:
            found, cache_control = await self._fetcher.fetch(uri, LIMITS, asker=asker)
            if not isinstance(found.get("keys"), list):
                raise NotFetchedError("The answer is no key set")
        except NotFetchedError as error:
            self._log.info("keys of a client at {uri}: {error}", uri=uri, error=str(error))
            self._keep_failure(uri)
            return None
        now_s = self._now_s()
        self._keep(uri, _Kept(found, now_s, now_s + lifetime_s(cache_control)))
        return found

    def _keep_failure(self, uri: str) -> None:
        """Keep what was known for as long as it counts; nothing is known for a minute, too."""
        now_s = self._now_s()
        before = self._kept.get(uri)
        if before is not None and now_s < before.until_s:
            self._keep(uri, _Kept(before.keys, now_s, before.until_s))
        else:
            self._keep(uri, _Kept(None, now_s, now_s + FAILURE_LIFETIME_S))

    def _keep(self, uri: str, kept: _Kept) -> None:
        self._kept[uri] = kept
        self._kept.move_to_end(uri)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
