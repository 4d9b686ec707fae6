"""The cache of client metadata documents."""

from dataclasses import replace

from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.documents import CachedDocument, ClientDocuments
from tests.store.samples import CLIENT

_FETCHED = CachedDocument(
    url=CLIENT, document={"client_id": CLIENT, "client_name": "ü🙂"}, fetched_s=1.0, expires_s=9.0
)


def test_a_document_is_known_until_it_expires_and_so_is_that_there_is_none(
    database: Database,
) -> None:
    none = replace(_FETCHED, document=None, fetched_s=2.0, expires_s=5.0)

    def life(connection: Connection) -> list[object]:
        documents = ClientDocuments(connection)
        documents.put(_FETCHED, at_most=9)
        told: list[object] = [documents.find(CLIENT, at_s) for at_s in (8.9, 9.0)]
        documents.put(none, at_most=9)
        told += [documents.find(CLIENT, at_s) for at_s in (4.9, 5.0)]
        told += [documents.find("https://other", 2.0)]
        return [*told, documents.forget(CLIENT), documents.forget(CLIENT)]

    assert database.write(life) == [_FETCHED, None, none, None, None, True, False]


def test_there_are_only_so_many(database: Database) -> None:
    """A stranger may name any URL, so the cache does not grow; what ends first goes."""

    def life(connection: Connection) -> list[bool]:
        documents = ClientDocuments(connection)
        for number, expires_s in enumerate([7.0, 5.0, 6.0]):
            fetched = replace(_FETCHED, url=f"https://c/{number}", expires_s=expires_s)
            documents.put(fetched, at_most=2)
        documents.put(replace(_FETCHED, url="https://c/0"), at_most=2)
        return [documents.find(f"https://c/{n}", 2.0) is not None for n in range(3)]

    assert database.write(life) == [True, False, True]


def test_expired_ones_go(database: Database) -> None:
    def life(connection: Connection) -> list[int]:
        documents = ClientDocuments(connection)
        for number in range(3):
            documents.put(replace(_FETCHED, url=f"https://c/{number}"), at_most=9)
        return [documents.purge(at_s, fetched_before_s=2.0, limit=2) for at_s in (8.9, 9.0, 9.0)]

    assert database.write(life) == [0, 2, 1]


def test_expired_ones_may_still_be_wanted(database: Database) -> None:
    """If their server is away. That there is none is not."""
    none = replace(_FETCHED, url="https://none", document=None)

    def life(connection: Connection) -> list[object]:
        documents = ClientDocuments(connection)
        documents.put(_FETCHED, at_most=9)
        documents.put(none, at_most=9)
        told: list[object] = [documents.purge(9.0, fetched_before_s=1.0, limit=9)]
        told += [documents.find(CLIENT, 9.0), documents.stale(CLIENT, 1.0)]
        return [*told, documents.stale(CLIENT, 1.1), documents.stale("https://none", 1.0)]

    assert database.write(life) == [1, None, _FETCHED, None, None]
