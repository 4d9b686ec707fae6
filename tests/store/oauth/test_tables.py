"""The tables of the authorization server."""

from mcptunnel.store.oauth.tables import access_token, refresh_token
from mcptunnel.store.schema import metadata


def test_a_token_goes_with_its_family() -> None:
    """The database itself sees to it."""
    for table in (access_token, refresh_token):
        (key,) = table.c.family_id.foreign_keys
        assert (key.target_fullname, key.ondelete) == ("token_family.id", "CASCADE")


def test_no_index_bears_the_name_of_a_table() -> None:
    """Both databases keep them in one list."""
    indexes = [index.name for table in metadata.tables.values() for index in table.indexes]
    assert len(indexes) == len(set(indexes))
    assert not set(indexes) & set(metadata.tables)
