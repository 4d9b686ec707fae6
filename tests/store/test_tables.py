"""The tables hold what the words of the package need."""

from mcptunnel.store.tables import api_key, device


def test_no_column_holds_a_secret_in_the_clear() -> None:
    assert "secret" not in api_key.c
    assert str(api_key.c.secret_hash.type) == "BLOB"


def test_a_device_is_an_installation_of_a_user() -> None:
    """The same installation of two users is two devices; a name identifies nothing."""
    assert [column.name for column in device.primary_key] == [
        "issuer",
        "subject",
        "installation_id",
    ]
