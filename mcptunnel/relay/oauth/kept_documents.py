"""The cache of client documents, in the store (`relay.oauth.documents.DocumentCache`)."""

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred

from mcptunnel.store.engine import Store
from mcptunnel.store.oauth.documents import CachedDocument, ClientDocuments

MAX_DOCUMENTS: Final = 10_000


class KeptDocuments:
    """Documents that were fetched, and that could not be."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, url: str, now_s: float) -> Deferred[CachedDocument | None]:
        """Return what is known of a URL, or None."""
        return self._store.read(lambda connection: ClientDocuments(connection).find(url, now_s))

    def stale(self, url: str, fetched_since_s: float) -> Deferred[CachedDocument | None]:
        """Return what was fetched since then, expired or not, or None."""
        return self._store.read(
            lambda connection: ClientDocuments(connection).stale(url, fetched_since_s)
        )

    def put(
        self, url: str, document: Mapping[str, Any] | None, *, fetched_s: float, expires_s: float
    ) -> Deferred[None]:
        """Keep a document, or that there is none."""
        found = CachedDocument(url=url, document=document, fetched_s=fetched_s, expires_s=expires_s)
        return self._store.write(
            lambda connection: ClientDocuments(connection).put(found, at_most=MAX_DOCUMENTS)
        )
