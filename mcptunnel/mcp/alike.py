"""Whether two JSON texts say the same, however they are written: members in any order, any spaces."""

from typing import Final

import msgspec
from msgspec import Raw

MAX_BYTES: Final = 64 * 1024
"""Longer texts are not looked into: they are the same only byte for byte."""

_sorted = msgspec.json.Encoder(order="sorted")


def by_value(encoded: bytes) -> bytes:
    """Return a text in the one way of writing that all its like have; as it is, if it is no JSON."""
    try:
        return _sorted.encode(msgspec.json.decode(encoded))
    except (msgspec.MsgspecError, RecursionError):
        return encoded


def is_alike(one: Raw, other: Raw) -> bool:
    """Whether two texts of usual length have the same value."""
    if one == other:
        return True
    if max(memoryview(one).nbytes, memoryview(other).nbytes) > MAX_BYTES:
        return False
    return by_value(bytes(one)) == by_value(bytes(other))
