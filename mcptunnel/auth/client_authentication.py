"""How a client proves itself at the token and revocation endpoints (RFC 6749, section 2.3; threat 29).

First `read_credentials` says who the client claims to be; then the caller finds that client, and its keys
if it signs; then `authenticate` decides. Every failure is a 401 `invalid_client` with the same text,
which is also how a client learns that its registration is gone.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from mcptunnel.auth.client_assertions import ASSERTION_TYPE, AssertionUse, verify_assertion
from mcptunnel.auth.clients import SECRET_METHODS, AuthMethod, Client, is_client_id
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Endpoint, Issuer, endpoint
from mcptunnel.auth.jose import ALGORITHMS, MAX_TOKEN_CHARS, JoseError, unverified_claim
from mcptunnel.auth.parameters import Parameters

BASIC_CHALLENGE: Final = 'Basic realm="mcptunnel"'
"""`WWW-Authenticate` of every 401 to a client that tried Basic (RFC 6749, 5.2)."""

_MAX_HEADER_CHARS: Final = 4096


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who a client claims to be, and by what: a secret, an assertion, or nothing."""

    client_id: str
    method: AuthMethod
    secret: str = field(default="", repr=False)


def read_credentials(parameters: Parameters, authorization: str | None) -> ClientCredentials:
    """Return what a token request presents; `authorization` is the value of that header.

    Raises OAuthError: `invalid_request` for two methods at once, else `invalid_client`.
    """
    named = parameters.get("client_id")
    if named is not None and not is_client_id(named):
        raise failed()
    secret, assertion = parameters.get("client_secret"), parameters.get("client_assertion")
    if sum(way is not None for way in (secret, assertion, authorization)) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The client authenticates in two ways")
    if authorization is not None:
        found = _basic(authorization)
    elif assertion is not None:
        found = _signed(parameters, assertion, named)
    elif named is None:
        raise failed()
    elif secret is not None:
        return ClientCredentials(named, AuthMethod.POST, secret)
    else:
        return ClientCredentials(named, AuthMethod.NONE)
    if named not in (None, found.client_id):
        raise failed()
    return found


def authenticate(
    presented: ClientCredentials,
    client: Client | None,
    *,
    issuer: Issuer,
    key_set: Mapping[str, Any] | None,
    now_s: float,
) -> AssertionUse | None:
    """Return if the client is who it claims to be, with what to remember if it signed.

    `client` is None when there is no such client (any more). `key_set` are the client's keys, fetched
    from its `jwks_uri` if need be. Raises OAuthError `invalid_client`; its cause may be a JoseError, whose
    `stale_keys` says that fetching the keys again may help.
    """
    if client is None or presented.client_id != client.id:
        raise failed()
    if presented.method not in client.auth_methods:
        raise failed()
    if presented.method in SECRET_METHODS and not client.has_secret(presented.secret):
        raise failed()
    if presented.method is not AuthMethod.PRIVATE_KEY_JWT:
        return None
    algorithms = (client.signing_algorithm,) if client.signing_algorithm else ALGORITHMS
    try:
        return verify_assertion(
            presented.secret,
            client_id=client.id,
            key_set=key_set or {},
            algorithms=algorithms,
            audiences=(endpoint(issuer, Endpoint.TOKEN), issuer),
            now_s=now_s,
        )
    except JoseError as error:
        raise failed() from error


def failed() -> OAuthError:
    """Return the one answer to every client that did not prove itself, an unknown one included."""
    return OAuthError(ErrorCode.INVALID_CLIENT, "The client is unknown or did not prove itself")


def _signed(parameters: Parameters, assertion: str, named: str | None) -> ClientCredentials:
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The client_assertion_type is not supported")
    if len(assertion) > MAX_TOKEN_CHARS:
        raise failed()
    client_id = named or unverified_claim(assertion, "sub")
    if client_id is None or not is_client_id(client_id):
        raise failed()
    return ClientCredentials(client_id, AuthMethod.PRIVATE_KEY_JWT, assertion)


def _basic(header: str) -> ClientCredentials:
    """Read `Basic`: id and secret are form-encoded before they are joined (RFC 6749, 2.3.1).

    An empty secret is what some libraries send for a client without one.
    """
    scheme, _, encoded = header[:_MAX_HEADER_CHARS].partition(" ")
    if scheme.lower() != "basic":
        raise failed()
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).partition(b":")
        named, given = _form_decoded(client_id), _form_decoded(secret)
    except (binascii.Error, ValueError):
        raise failed() from None
    if not colon or not is_client_id(named):
        raise failed()
    return ClientCredentials(named, AuthMethod.BASIC if given else AuthMethod.NONE, given)


def _form_decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
