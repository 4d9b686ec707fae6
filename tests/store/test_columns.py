"""The kinds of columns."""

import pytest
from sqlalchemy import LargeBinary, insert
from sqlalchemy.exc import StatementError

from mcptunnel.store.columns import Digest, client_id, issuer, subject, time, time_or_never, words
from mcptunnel.store.database import Database
from mcptunnel.store.oauth.tables import assertion
from mcptunnel.store.schema import metadata
from mcptunnel.store.tables import mcp_session


@pytest.mark.parametrize("value", [b"mcpt_rt_0123456789", b"", b"x" * 33])
def test_what_is_no_digest_is_not_stored_and_not_quoted(database: Database, value: bytes) -> None:
    """So a token that was not hashed by mistake does not get into a file, nor into a log."""
    statement = insert(assertion).values(key=value, expires_s=1.0)
    with pytest.raises(StatementError) as caught:
        database.write(lambda connection: connection.execute(statement))
    assert "no SHA-256 digest" in str(caught.value)
    assert value == b"" or value.decode() not in str(caught.value)


def test_every_hash_in_the_store_is_a_digest_of_fixed_length() -> None:
    """Any column that is looked up by a secret can hold nothing but 32 bytes."""
    documents = {mcp_session.c.capabilities, mcp_session.c.client_info}
    hashes = [
        column
        for table in metadata.tables.values()
        for column in table.c
        if (column.name.endswith("_hash") or isinstance(column.type, LargeBinary | Digest))
        and column not in documents
    ]
    assert len(hashes) >= 12
    for column in hashes:
        assert isinstance(column.type, Digest) or column.table.name == "api_key"


def test_the_kinds_are_made_anew_for_each_table() -> None:
    """A column belongs to one table."""
    for make in (issuer, subject, client_id):
        assert make() is not make()
    assert not time("a_s").nullable
    assert time_or_never("a_s").nullable
    assert not words("a").nullable
