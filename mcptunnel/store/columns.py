"""Kinds of columns that several tables have."""

from typing import Any

from sqlalchemy import Column, Float, ForeignKeyConstraint, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

DIGEST_BYTES = 32


class Digest(TypeDecorator[bytes]):
    """A SHA-256 digest, and nothing else: a secret in the clear is not let into the store."""

    impl = LargeBinary(DIGEST_BYTES)
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Refuse what is no digest with ValueError, which does not quote it."""
        if value is not None and len(value) != DIGEST_BYTES:
            raise ValueError("this is no SHA-256 digest")
        return value


def issuer(*, primary_key: bool = False, nullable: bool = False) -> Column[Any]:
    """The first half of a principal."""
    return Column("issuer", String(2048), primary_key=primary_key, nullable=nullable)


def subject(*, primary_key: bool = False, nullable: bool = False) -> Column[Any]:
    """The second half of a principal."""
    return Column("subject", String(255), primary_key=primary_key, nullable=nullable)


def device_columns() -> tuple[SchemaItem, ...]:
    """The key of a device as a part of another one; the row goes when the device is forgotten."""
    names = ["issuer", "subject", "installation_id"]
    return (
        issuer(primary_key=True),
        subject(primary_key=True),
        Column("installation_id", String(64), primary_key=True),
        ForeignKeyConstraint(names, [f"device.{name}" for name in names], ondelete="CASCADE"),
    )


def client_id() -> Column[Any]:
    """The id of an OAuth client, a URL for some."""
    return Column("client_id", String(2048), nullable=False)


def time(name: str) -> Column[Any]:
    """A moment, in seconds since the epoch; `name` ends in `_s`."""
    return Column(name, Float(53), nullable=False)


def time_or_never(name: str) -> Column[Any]:
    """A moment that may not have come."""
    return Column(name, Float(53))


def words(name: str) -> Column[Any]:
    """Text of any length, which may come from strangers."""
    return Column(name, Text, nullable=False)
