"""The provider's token endpoint: how the relay proves itself there, and what comes back (Core, 3.1.3)."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.oidc.errors import ProviderError, SignInError

MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_SHOWN_CHARS: Final = 200
_BEARER: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ABOUT_US: Final = ("invalid_client", "unauthorized_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """`access_token` is for the userinfo endpoint alone, and never kept; None if it cannot be used there."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a token request has beside the code: members of the form, and header fields."""

    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def proof(method: str, client_id: str, secret: str) -> Proof:
    """Return the proof for one of the methods of `discovery.token_auth_method` (RFC 6749, 2.3.1)."""
    if method == "client_secret_basic":
        both = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return Proof(form={}, headers={"Authorization": f"Basic {b64encode(both).decode()}"})
    if method == "client_secret_post":
        return Proof(form={"client_secret": secret}, headers={})
    return Proof(form={}, headers={})


def read_token_answer(status: int, body: bytes) -> TokenAnswer:
    """Return the tokens.

    Raises SignInError for what signing in again may help against, ProviderError for what the operator
    has to look at.
    """
    try:
        answer = parse_object(body, max_bytes=MAX_ANSWER_BYTES)
    except NotAnObjectError:
        answer = {}
    if "error" in answer:
        raise _refused(answer)
    if status != HTTPStatus.OK or not answer:
        raise ProviderError(
            f"The provider's token endpoint answered {status}, without JSON to read"
        )
    id_token = answer.get("id_token")
    if not isinstance(id_token, str):
        raise ProviderError("The provider's token endpoint gave no id_token")
    return TokenAnswer(id_token=id_token, access_token=_bearer(answer))


def _refused(answer: Mapping[str, Any]) -> SignInError | ProviderError:
    code = clean_text(answer.get("error"), _MAX_SHOWN_CHARS)
    if code == "invalid_grant":
        return SignInError(
            "The provider did not accept this sign-in: it took too long, or came twice"
        )
    told = clean_text(answer.get("error_description"), _MAX_SHOWN_CHARS)
    reason = f"{code} ({told})" if told else code
    if code in _ABOUT_US:
        return ProviderError(f"The provider does not accept the client_id or its secret: {reason}")
    return ProviderError(f"The provider refused the token request: {reason}")


def _bearer(answer: Mapping[str, Any]) -> str | None:
    token, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(token, str) or not _BEARER.fullmatch(token):
        return None
    return token if isinstance(kind, str) and kind.lower() == "bearer" else None
