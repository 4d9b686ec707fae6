"""What a client is."""

import pytest

from mcptunnel.auth import tokens
from mcptunnel.auth.clients import CLIENT_GRANTS, Client, ClientKind, GrantType, is_client_id


def _client(**members: object) -> Client:
    given = {"id": "c", "kind": ClientKind.STATIC, "name": "C", "redirect_uris": ()}
    return Client(**{**given, **members})  # type: ignore[arg-type]  # the fields by name


def test_a_secret_is_compared_by_its_hash() -> None:
    client = _client(secret_hash=tokens.hash_token("s3cret"))
    assert client.has_secret("s3cret")
    assert not client.has_secret("S3cret")
    assert not _client().has_secret("")
    assert repr(client.secret_hash) not in repr(client)


def test_only_configured_clients_may_use_device_codes() -> None:
    """RFC 8628, 5.4: whoever may start a device grant may send its code to somebody else."""
    assert not _client().may_use(GrantType.DEVICE_CODE)
    assert _client(grant_types=CLIENT_GRANTS | {GrantType.DEVICE_CODE}).may_use(
        GrantType.DEVICE_CODE
    )


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("mcpt_ci_x", True),
        ("https://claude.ai/oauth/x", True),
        ("", False),
        ("a b", False),
        ("ä", False),
        ("x" * 513, False),
        ("a\n", False),
    ],
)
def test_what_can_be_a_client_id(text: str, good: bool) -> None:
    assert is_client_id(text) is good
