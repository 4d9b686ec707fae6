"""Clients that prove themselves at the token endpoint."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth import tokens
from mcptunnel.auth.client_assertions import ASSERTION_TYPE
from mcptunnel.auth.client_authentication import (
    ClientCredentials,
    authenticate,
    read_credentials,
)
from mcptunnel.auth.clients import AuthMethod, Client, ClientKind
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.jose import JoseError
from mcptunnel.auth.parameters import Parameters
from tests.auth.signing import key_set, public_jwk, sign

R = Issuer("https://relay.example")


def _basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def _read(authorization: str | None = None, **values: str) -> ClientCredentials:
    return read_credentials(Parameters(values), authorization)


def _client(*methods: AuthMethod, **members: Any) -> Client:
    return Client(
        id="c",
        kind=ClientKind.REGISTERED,
        name="",
        redirect_uris=(),
        auth_methods=methods,
        **members,
    )


def _authenticated(presented: ClientCredentials, client: Client | None) -> bool:
    try:
        authenticate(presented, client, issuer=R, key_set=None, now_s=0.0)
    except OAuthError as error:
        assert error.status == 401  # noqa: PT017 - the one way out
        return False
    return True


def test_every_way_to_present_a_client() -> None:
    assert _read(client_id="c") == ClientCredentials("c", AuthMethod.NONE)
    assert _read(client_id="c", client_secret="s") == ClientCredentials("c", AuthMethod.POST, "s")
    assert _read(_basic("c:s")) == ClientCredentials("c", AuthMethod.BASIC, "s")
    assert _read(_basic("c:s"), client_id="c").method is AuthMethod.BASIC


def test_basic_is_form_encoded_first() -> None:
    """RFC 6749, 2.3.1."""
    read = _read(_basic("https%3A%2F%2Fa.example%2Fc:s%3A+%25"))
    assert (read.client_id, read.secret) == ("https://a.example/c", "s: %")


def test_typescript_sends_basic_without_a_secret() -> None:
    """A public client that sends `id:` is one without a secret."""
    assert _read(_basic("c:")).method is AuthMethod.NONE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + b64encode(b"c").decode(),
        "Bearer x",
        _basic(":s"),
        _basic("a b:s"),
        "Basic /w==",
        _basic("c:%ff"),
    ],
)
def test_malformed_headers_are_invalid_client(header: str) -> None:
    with pytest.raises(OAuthError) as caught:
        _read(header)
    assert caught.value.code is ErrorCode.INVALID_CLIENT


@given(st.text(), st.text(), st.text())
def test_anything_presented_is_read_or_refused(header: str, client_id: str, assertion: str) -> None:
    """Nothing but OAuthError comes out."""
    for given_header, values in (
        (header, {}),
        ("Basic " + header, {"client_id": client_id}),
        (None, {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}),
    ):
        try:
            _read(given_header, **values)
        except OAuthError:
            continue


def test_two_ways_at_once_are_refused() -> None:
    """RFC 6749, 2.3."""
    for header, values in (
        (_basic("c:s"), {"client_secret": "s"}),
        (None, {"client_secret": "s", "client_assertion": "a"}),
    ):
        with pytest.raises(OAuthError) as caught:
            _read(header, client_id="c", **values)
        assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("header", "values"),
    [(None, {}), (_basic("c:s"), {"client_id": "d"}), (None, {"client_id": "a b"})],
)
def test_no_client_or_two_are_refused(header: str | None, values: dict[str, str]) -> None:
    with pytest.raises(OAuthError) as caught:
        _read(header, **values)
    assert caught.value.code is ErrorCode.INVALID_CLIENT


def test_a_deleted_client_is_told_401_so_that_claude_registers_anew() -> None:
    assert not _authenticated(ClientCredentials("c", AuthMethod.NONE), None)
    assert not _authenticated(ClientCredentials("other", AuthMethod.NONE), _client(AuthMethod.NONE))


def test_secrets() -> None:
    client = _client(AuthMethod.POST, AuthMethod.BASIC, secret_hash=tokens.hash_token("s"))
    for method in (AuthMethod.POST, AuthMethod.BASIC):
        assert _authenticated(ClientCredentials("c", method, "s"), client)
        assert not _authenticated(ClientCredentials("c", method, "t"), client)
        assert not _authenticated(ClientCredentials("c", method, ""), client)
    assert not _authenticated(ClientCredentials("c", AuthMethod.NONE), client)
    assert _authenticated(ClientCredentials("c", AuthMethod.NONE), _client(AuthMethod.NONE))
    assert not _authenticated(
        ClientCredentials("c", AuthMethod.POST, "s"), _client(AuthMethod.NONE)
    )


def test_row_13_every_failure_looks_the_same() -> None:
    """An unknown client, a wrong secret and a wrong method have one text."""
    texts = set()
    for client in (None, _client(AuthMethod.NONE), _client(AuthMethod.POST)):
        with pytest.raises(OAuthError) as caught:
            authenticate(
                ClientCredentials("c", AuthMethod.POST, "x"),
                client,
                issuer=R,
                key_set=None,
                now_s=0.0,
            )
        texts.add(str(caught.value))
    assert len(texts) == 1


def _assertion(**change: object) -> str:
    claims = {"iss": "c", "sub": "c", "aud": f"{R}/token", "iat": 0, "exp": 300, "jti": "j"}
    return sign({**claims, **change})


def _signed(assertion: str, **values: str) -> ClientCredentials:
    return _read(client_assertion=assertion, client_assertion_type=ASSERTION_TYPE, **values)


def test_chatgpt_signs_with_and_without_client_id() -> None:
    """RFC 7521, 4.2: the assertion says who it is."""
    client = _client(AuthMethod.PRIVATE_KEY_JWT, AuthMethod.NONE)
    keys = key_set(public_jwk("ES256"))
    for presented in (_signed(_assertion()), _signed(_assertion(), client_id="c")):
        assert presented.client_id == "c"
        use = authenticate(presented, client, issuer=R, key_set=keys, now_s=10.0)
        assert use is not None
        assert (use.client_id, use.jti) == ("c", "j")
        assert presented.secret not in repr(presented)


def test_row_29_a_claimed_client_is_not_believed_unsigned() -> None:
    """`stale_keys` is handed up, so that keys can be fetched again."""
    client = _client(AuthMethod.PRIVATE_KEY_JWT)
    with pytest.raises(OAuthError) as caught:
        authenticate(_signed(_assertion()), client, issuer=R, key_set=None, now_s=10.0)
    assert isinstance(caught.value.__cause__, JoseError)
    assert caught.value.__cause__.stale_keys
    keys = key_set(public_jwk("ES256"))
    with pytest.raises(OAuthError):
        authenticate(
            _signed(_assertion(sub="d"), client_id="c"), client, issuer=R, key_set=keys, now_s=10.0
        )
    pinned = _client(AuthMethod.PRIVATE_KEY_JWT, signing_algorithm="RS256")
    with pytest.raises(OAuthError):
        authenticate(_signed(_assertion()), pinned, issuer=R, key_set=keys, now_s=10.0)


def test_row_29_a_client_without_keys_cannot_sign() -> None:
    assert not _authenticated(_signed(_assertion()), _client(AuthMethod.NONE))


def test_other_kinds_of_assertions_are_refused() -> None:
    with pytest.raises(OAuthError, match="client_assertion_type"):
        _read(client_assertion="a", client_assertion_type="urn:ietf:params:oauth:x")
    with pytest.raises(OAuthError):
        _signed("x" * 20_000)
