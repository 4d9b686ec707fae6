"""Clients whose id is the URL of their document: pinned, kept, or fetched (threat 10)."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from twisted.logger import Logger

from mcptunnel.auth.client_documents import (
    FAILURE_LIFETIME_S,
    FETCH_TIMEOUT_S,
    MAX_DOCUMENT_BYTES,
    MOST_STALE_S,
    is_document_id,
    lifetime_s,
    read_document,
)
from mcptunnel.auth.clients import Client
from mcptunnel.auth.errors import OAuthError
from mcptunnel.net.http import Limits
from mcptunnel.net.single_flight import SingleFlight
from mcptunnel.relay.oauth.fetching import (
    DocumentFetcher,
    NotFetchedError,
    TooManyFetchesError,
    UnreachableError,
)

LIMITS: Final = Limits(max_bytes=MAX_DOCUMENT_BYTES, timeout_s=FETCH_TIMEOUT_S)


class KnownDocument(Protocol):
    """What is known of a URL; no document means that there is none that can be used."""

    @property
    def document(self) -> Mapping[str, Any] | None: ...

    @property
    def fetched_s(self) -> float: ...


class DocumentCache(Protocol):
    """Where documents are kept, and failures (`store.oauth.documents`). Times are since the epoch."""

    def find(self, url: str, now_s: float) -> Awaitable[KnownDocument | None]:
        """Return what is known at this time, or None: then the document has to be fetched."""

    def stale(self, url: str, fetched_since_s: float) -> Awaitable[KnownDocument | None]:
        """Return what was fetched since then, expired or not, or None."""

    def put(
        self, url: str, document: Mapping[str, Any] | None, *, fetched_s: float, expires_s: float
    ) -> Awaitable[object]:
        """Keep a document, or that there is none."""


class ClientDocumentsFetched:
    """Finds the client of a document. All who look for the same one share one fetch.

    `pinned` are those of the configuration (`auth.client_documents.read_pinned`), which are never
    fetched. `epoch_s` is the time of day.
    """

    _log = Logger()

    def __init__(
        self,
        fetcher: DocumentFetcher,
        cache: DocumentCache,
        *,
        pinned: Mapping[str, Client],
        epoch_s: Callable[[], float],
        limits: Limits = LIMITS,
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._pinned = pinned
        self._epoch_s = epoch_s
        self._limits = limits
        self._flights: SingleFlight[Client | None] = SingleFlight()

    async def find(self, client_id: str, *, asker: str) -> Client | None:
        """Return the client, or None if its document cannot be had or used: the log says why.

        `asker` is the address of who names the client. Raises `fetching.TooManyFetchesError`.
        """
        if not is_document_id(client_id):
            return None
        pinned = self._pinned.get(client_id)
        if pinned is not None or self._fetcher.fault(client_id) is not None:
            return pinned
        known = await self._cache.find(client_id, self._epoch_s())
        if known is None:
            return await self._flights.join(client_id, partial(self._fetch, client_id, asker))
        return None if known.document is None else self._read(client_id, known.document)

    def stop(self) -> None:
        """End what is under way."""
        self._flights.stop()

    async def _fetch(self, url: str, asker: str) -> Client | None:
        try:
            document, cache_control = await self._fetcher.fetch(url, self._limits, asker=asker)
        except (UnreachableError, TooManyFetchesError) as error:
            return await self._kept_on(url, error)
        except NotFetchedError as error:
            self._tell(url, error)
            await self._put(url, None, FAILURE_LIFETIME_S)
            return None
        client = self._read(url, document)
        if client is None:
            await self._put(url, None, FAILURE_LIFETIME_S)
        else:
            await self._put(url, document, lifetime_s(cache_control))
        return client

    async def _kept_on(
        self, url: str, error: UnreachableError | TooManyFetchesError
    ) -> Client | None:
        """Return who it was not long ago: a bad network is no reason to sign people out."""
        known = await self._cache.stale(url, self._epoch_s() - MOST_STALE_S)
        document = None if known is None else known.document
        if isinstance(error, UnreachableError):
            self._tell(url, error)
            fetched_s = None if known is None else known.fetched_s
            await self._put(url, document, FAILURE_LIFETIME_S, fetched_s)
        elif document is None:
            raise error
        return None if document is None else self._read(url, document)

    async def _put(
        self,
        url: str,
        document: Mapping[str, Any] | None,
        kept_s: float,
        fetched_s: float | None = None,
    ) -> None:
        now_s = self._epoch_s()
        fetched_s = now_s if fetched_s is None else fetched_s
        await self._cache.put(url, document, fetched_s=fetched_s, expires_s=now_s + kept_s)

    def _tell(self, url: str, error: Exception) -> None:
        self._log.info("client document {url}: {error}", url=url, error=str(error))

    def _read(self, url: str, document: Mapping[str, Any]) -> Client | None:
        try:
            return read_document(url, document)
        except OAuthError as error:
            self._tell(url, error)
            return None
