"""Coroutines that need no reactor: they end within the call, or wait for what a test has at hand."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def begun(work: Coroutine[Any, Any, T]) -> list[T | Failure]:
    """Begin a coroutine; the list gets its result, or its failure, when it ends."""
    ended: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(ended.append)
    return ended


def now(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing, or raise what it raises."""
    return result(begun(work))


def result(ended: list[T | Failure]) -> T:
    """Return the one result of `begun`, or raise it."""
    (value,) = ended
    if isinstance(value, Failure):
        value.raiseException()
    return value
