"""What a token request proves, and what of the answer is used."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.oidc.token_endpoint import MAX_ANSWER_BYTES, proof, read_token_answer


def answer(**members: object) -> bytes:
    return json.dumps(
        {"id_token": "i", "access_token": "a", "token_type": "bearer", **members}
    ).encode()


def test_methods() -> None:
    """A secret is in one place alone; in Basic both parts are encoded, so that a colon is none."""
    assert proof("none", "c", "").form == proof("none", "c", "").headers == {}
    assert dict(proof("client_secret_post", "c", "s").form) == {"client_secret": "s"}
    basic = proof("client_secret_basic", "c:1", "s ü")
    assert b64decode(basic.headers["Authorization"].removeprefix("Basic ")) == b"c%3A1:s+%C3%BC"
    assert basic.form == {}


def test_secrets_do_not_show() -> None:
    """A repr may be logged."""
    told = f"{proof('client_secret_post', 'c', 'hush')} {read_token_answer(200, answer(id_token='hush'))}"
    assert "hush" not in told


def test_tokens() -> None:
    """The access token is used only if it is a bearer token that fits into a header."""
    assert read_token_answer(200, answer()).access_token == "a"
    for changes in ({"token_type": "DPoP"}, {"token_type": None}, {"access_token": "a\r\nb"}):
        assert read_token_answer(200, answer(**changes)).access_token is None


@pytest.mark.parametrize(
    ("status", "body", "error", "match"),
    [
        (200, answer(id_token=None), ProviderError, "no id_token"),
        (500, b"<html>", ProviderError, "answered 500"),
        (200, b"", ProviderError, "answered 200, without JSON"),
        (200, b"[]", ProviderError, "without JSON"),
        (201, answer(), ProviderError, "answered 201"),
        (200, answer(id_token="x" * MAX_ANSWER_BYTES), ProviderError, "without JSON"),
        (400, b'{"error":"invalid_grant"}', SignInError, "took too long"),
        (200, b'{"error":"invalid_grant"}', SignInError, "took too long"),
        (401, b'{"error":"invalid_client","error_description":"No\\n"}', ProviderError, r"\(No\)"),
        (400, b'{"error":["x"]}', ProviderError, "refused the token request"),
    ],
)
def test_refusals(status: int, body: bytes, error: type[Exception], match: str) -> None:
    """An error is one whatever the status; what the provider says is made safe to show."""
    with pytest.raises(error, match=match):
        read_token_answer(status, body)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_answer(status: int, body: bytes) -> None:
    """Nothing but the two errors comes of it."""
    with pytest.raises((ProviderError, SignInError)):
        read_token_answer(status, body)
