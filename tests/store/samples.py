"""People, digests and short ways that the tests of the store share."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from mcptunnel.model import Principal
from mcptunnel.store.database import Database

ALICE, BOB = Principal("local", "alice"), Principal("https://idp.example/", "bob")
RACERS = 8

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Part(Protocol[_T_co]):
    """A class of the store."""

    def __call__(self, connection: Connection) -> _T_co: ...


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def using(database: Database, part: Part[_T]) -> Callable[[Callable[[_T], object]], object]:
    """Return a function that runs something with a class of the store, a transaction each."""
    return lambda work: database.write(lambda connection: work(part(connection)))


def race(database: Database, work: Callable[[Connection], _T]) -> list[_T]:
    """Let `RACERS` threads do the same at the same moment; return what each got."""
    barrier = threading.Barrier(RACERS, timeout=30)

    def run(_number: int) -> _T:
        barrier.wait()
        return database.write(work)

    with ThreadPoolExecutor(RACERS) as threads:
        return list(threads.map(run, range(RACERS)))
