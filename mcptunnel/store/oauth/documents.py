"""Client ID metadata documents that were fetched, and that could not be: a bounded cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select

from mcptunnel.store.clauses import delete_some, from_json, is_full, to_json
from mcptunnel.store.oauth.tables import client_document
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedDocument:
    """What is known of a URL until `expires_s`; no `document` means that it was none."""

    url: str
    document: Mapping[str, Any] | None
    fetched_s: float
    expires_s: float


class ClientDocuments:
    """The cache, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, fetched: CachedDocument, *, at_most: int) -> None:
        """Store what was fetched; if there are `at_most`, the one that expires first goes."""
        document = None if fetched.document is None else to_json(fetched.document)
        told = {
            "document": document,
            "fetched_s": fetched.fetched_s,
            "expires_s": fetched.expires_s,
        }
        self.forget(fetched.url)
        if is_full(self._connection, client_document, at_most):
            first = (
                select(client_document.c.url)
                .order_by(client_document.c.expires_s, client_document.c.url)
                .limit(1)
            )
            self._connection.execute(
                delete(client_document).where(client_document.c.url.in_(first))
            )
        self._connection.execute(
            insert_into(self._connection, client_document)
            .values(url=fetched.url, **told)
            .on_conflict_do_update(index_elements=["url"], set_=told)
        )

    def find(self, url: str, now_s: float) -> CachedDocument | None:
        """Return what is known of a URL, or None: then it has to be fetched."""
        return self._find(url, client_document.c.expires_s > now_s)

    def stale(self, url: str, fetched_since_s: float) -> CachedDocument | None:
        """Return what was fetched since then, expired or not, or None."""
        return self._find(url, client_document.c.fetched_s >= fetched_since_s)

    def forget(self, url: str) -> bool:
        """Remove what is known of a URL; False if nothing is."""
        statement = delete(client_document).where(client_document.c.url == url)
        return self._connection.execute(statement).rowcount == 1

    def purge(self, now_s: float, *, fetched_before_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were.

        Documents that were fetched since `fetched_before_s` may still be wanted (`stale`).
        """
        known = client_document.c
        is_over = known.document.is_(None) | (known.fetched_s < fetched_before_s)
        return delete_some(
            self._connection, client_document, (known.expires_s <= now_s) & is_over, limit
        )

    def _find(self, url: str, is_wanted: ColumnElement[bool]) -> CachedDocument | None:
        row = self._connection.execute(
            select(client_document).where(client_document.c.url == url, is_wanted)
        ).one_or_none()
        if row is None:
            return None
        return CachedDocument(
            url=row.url,
            document=None if row.document is None else from_json(row.document),
            fetched_s=row.fetched_s,
            expires_s=row.expires_s,
        )
