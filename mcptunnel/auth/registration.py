"""Dynamic client registration (RFC 7591): from what a client asks for to what it is registered as.

Whatever is optional and not supported is ignored or replaced, and the answer says what counts (RFC 7591,
section 2): clients send metadata of all kinds, and a refusal ends their connection. A redirect URI
that is not safe is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcptunnel.auth import tokens
from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.client_keys import ClientKeys, read_client_keys
from mcptunnel.auth.clients import (
    CLIENT_GRANTS,
    SECRET_METHODS,
    AuthMethod,
    Client,
    ClientKind,
    GrantType,
)
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.json_objects import text_list, text_member
from mcptunnel.auth.redirects import redirect_fault
from mcptunnel.auth.scopes import CLIENT_SCOPES, join_scope, requested_scopes
from mcptunnel.auth.urls import split_url

MAX_BODY_BYTES: Final = 32 * 1024
MAX_REDIRECT_URIS: Final = 20
MAX_NAME_CHARS: Final = 100
MAX_TEXT_CHARS: Final = 256
MAX_URI_CHARS: Final = 1024
UNUSED_EXPIRY_S: Final = 86_400.0
"""A registered client that nobody has used for a day goes (threat 12)."""

_URIS: Final = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
_TEXTS: Final = ("software_id", "software_version")
_APPLICATION_TYPES: Final = ("native", "web")


@dataclass(frozen=True, slots=True)
class Registration:
    """A new client, the members of the 201 answer, and a digest that equal registrations share.

    The answer may hold a secret. A client with the same `fingerprint` and no secret may be answered
    with the client id that is there already.
    """

    client: Client
    answer: Mapping[str, Any] = field(repr=False)
    fingerprint: bytes


def register(
    request: Mapping[str, Any], *, client_id: str, random: bytes, now_s: float
) -> Registration:
    """Return what a client is registered as; `random` is for its secret, if it gets one (32 bytes).

    Raises OAuthError `invalid_redirect_uri` or `invalid_client_metadata`.
    """
    redirects = _redirect_uris(request)
    method = _auth_method(request)
    keys = read_client_keys(request) if method is AuthMethod.PRIVATE_KEY_JWT else ClientKeys()
    secret = tokens.mint(tokens.TokenKind.CLIENT_SECRET, random) if method in SECRET_METHODS else ""
    grants = _grant_types(request)
    metadata = _metadata(request, method, keys) | {
        "redirect_uris": redirects,
        "grant_types": [grant.value for grant in grants],
    }
    client = Client(
        id=client_id,
        kind=ClientKind.REGISTERED,
        name=metadata.get("client_name", ""),
        redirect_uris=tuple(redirects),
        # Clients mix up the two ways to send a secret; it is the same secret.
        auth_methods=(method, *(SECRET_METHODS - {method})) if secret else (method,),
        grant_types=frozenset(grants),
        secret_hash=tokens.hash_token(secret) if secret else None,
        jwks_uri=keys.jwks_uri,
        jwks=keys.jwks,
        signing_algorithm=keys.algorithm,
        client_uri=metadata.get("client_uri"),
    )
    answer = {"client_id": client_id, "client_id_issued_at": int(now_s), **metadata}
    if secret:  # 0: it does not expire; clients want the member wherever there is a secret
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).digest()
    return Registration(client, answer, digest)


def _redirect_uris(request: Mapping[str, Any]) -> list[str]:
    uris = text_list(request, "redirect_uris")
    if not uris or len(uris) > MAX_REDIRECT_URIS:
        raise OAuthError(
            ErrorCode.INVALID_REDIRECT_URI, f"redirect_uris needs 1 to {MAX_REDIRECT_URIS} URIs"
        )
    for uri in uris:
        if fault := redirect_fault(uri):
            raise OAuthError(ErrorCode.INVALID_REDIRECT_URI, fault)
    return list(dict.fromkeys(uris))


def _auth_method(request: Mapping[str, Any]) -> AuthMethod:
    """Return the method asked for; one that is missing or unknown becomes `none`, and the answer says so."""
    asked = request.get("token_endpoint_auth_method")
    return AuthMethod(asked) if asked in tuple(AuthMethod) else AuthMethod.NONE


def _grant_types(request: Mapping[str, Any]) -> list[GrantType]:
    """Return what is left of the grants asked for; a client can always use codes."""
    asked = text_list(request, "grant_types")
    grants = [grant for grant in GrantType if grant in CLIENT_GRANTS]
    if asked is None:
        return grants
    return [g for g in grants if g is GrantType.AUTHORIZATION_CODE or g.value in asked]


def _metadata(request: Mapping[str, Any], method: AuthMethod, keys: ClientKeys) -> dict[str, Any]:
    """Return the metadata that count, without null members (zod refuses them)."""
    metadata: dict[str, Any] = {
        "token_endpoint_auth_method": method.value,
        "response_types": ["code"],
        "scope": join_scope(requested_scopes(text_member(request, "scope", 1024), CLIENT_SCOPES)),
    }
    name = clean_text(request.get("client_name"), MAX_NAME_CHARS)
    optional: dict[str, Any] = {"client_name": name}
    optional |= {member: _web_uri(request, member) for member in _URIS}
    optional |= {member: clean_text(request.get(member), MAX_TEXT_CHARS) for member in _TEXTS}
    if request.get("application_type") in _APPLICATION_TYPES:
        optional["application_type"] = request["application_type"]
    optional["jwks_uri"] = keys.jwks_uri
    optional["jwks"] = keys.jwks
    optional["token_endpoint_auth_signing_alg"] = keys.algorithm
    return metadata | {member: value for member, value in optional.items() if value}


def _web_uri(request: Mapping[str, Any], member: str) -> str | None:
    """Return a link to show, or None: `javascript:` and its like never reach a page (threat 11)."""
    text = text_member(request, member, MAX_URI_CHARS)
    url = split_url(text) if text else None
    if url is None or url.scheme not in ("http", "https") or not url.host or url.has_userinfo:
        return None
    return text
