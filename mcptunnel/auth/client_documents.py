"""Client ID Metadata Documents: a client whose id is the URL of its metadata (MCP, Client Registration).

This file says which ids are such URLs, what a fetched document has to hold, and for how long it counts.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.client_keys import ClientKeys, read_client_keys
from mcptunnel.auth.clients import CLIENT_GRANTS, AuthMethod, Client, ClientKind, GrantType
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.fetch_urls import HostPolicy, fetch_fault
from mcptunnel.auth.json_objects import text_list
from mcptunnel.auth.redirects import redirect_fault

MAX_DOCUMENT_BYTES: Final = 5 * 1024
FETCH_TIMEOUT_S: Final = 5.0
LEAST_LIFETIME_S: Final = 300.0
MOST_LIFETIME_S: Final = 86_400.0
USUAL_LIFETIME_S: Final = 3600.0
FAILURE_LIFETIME_S: Final = 60.0
"""For this long a document that could not be used is not asked for again."""

MOST_STALE_S: Final = 2 * MOST_LIFETIME_S
"""A document that was fetched no longer ago still counts if its server cannot be asked."""

_MAX_REDIRECT_URIS: Final = 50
_MAX_NAME_CHARS: Final = 100
_MAX_AGE: Final = re.compile(r'(?:^|,)\s*max-age\s*=\s*"?([0-9]{1,10})"?\s*(?=,|$)', re.IGNORECASE)
_NOT_STORED: Final = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\b", re.IGNORECASE)


def is_document_id(client_id: str) -> bool:
    """Tell whether a client id is meant as the URL of a document; `document_fault` tells if it is good."""
    return "://" in client_id


def document_fault(client_id: str, policy: HostPolicy, own_host: str) -> str | None:
    """Return why a document must not be fetched, as a sentence, or None (threat 10)."""
    own = HostPolicy(refused=(own_host,))
    return fetch_fault(client_id, policy) or fetch_fault(client_id, own)


def read_document(client_id: str, document: Mapping[str, Any]) -> Client:
    """Return the client that a fetched or pinned document describes.

    Raises OAuthError `invalid_client_metadata`. The id in the document has to be its URL, byte for byte.
    Redirect URIs that could not be used are left out: the document is not this one client's alone.
    """
    if document.get("client_id") != client_id:
        raise _refused("The document is of another client_id")
    name = clean_text(document.get("client_name"), _MAX_NAME_CHARS)
    if not name:
        raise _refused("The document has no client_name")
    methods = _auth_methods(document)
    keys = read_client_keys(document) if AuthMethod.PRIVATE_KEY_JWT in methods else ClientKeys()
    uri = document.get("client_uri")
    return Client(
        id=client_id,
        kind=ClientKind.DOCUMENT,
        name=name,
        redirect_uris=_redirect_uris(document),
        auth_methods=methods,
        grant_types=_grant_types(document),
        jwks_uri=keys.jwks_uri,
        jwks=keys.jwks,
        signing_algorithm=keys.algorithm,
        client_uri=uri if isinstance(uri, str) and fetch_fault(uri) is None else None,
    )


def lifetime_s(cache_control: str | None) -> float:
    """Return for how many seconds a document counts: what its server says, but 5 minutes to 24 hours."""
    text = cache_control or ""
    if _NOT_STORED.search(text):
        return LEAST_LIFETIME_S
    age = _MAX_AGE.search(text)
    asked_s = float(age[1]) if age else USUAL_LIFETIME_S
    return min(MOST_LIFETIME_S, max(LEAST_LIFETIME_S, asked_s))


def read_pinned(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Client]:
    """Return the clients of documents in the configuration, which are never fetched.

    Raises OAuthError as `read_document` does.
    """
    return {url: read_document(url, document) for url, document in documents.items()}


def _redirect_uris(document: Mapping[str, Any]) -> tuple[str, ...]:
    uris = (text_list(document, "redirect_uris") or [])[:_MAX_REDIRECT_URIS]
    usable = tuple(dict.fromkeys(uri for uri in uris if redirect_fault(uri) is None))
    if not usable:
        raise _refused("The document has no redirect_uris that can be used")
    return usable


def _auth_methods(document: Mapping[str, Any]) -> tuple[AuthMethod, ...]:
    """Return the methods that the client may use; there is no place for a shared secret in a document.

    ChatGPT names `private_key_jwt` and lists `none` beside it: then both are good.
    """
    if "client_secret" in document:
        raise _refused("The document has a secret in it")
    named = document.get("token_endpoint_auth_method", AuthMethod.NONE.value)
    listed = text_list(document, "token_endpoint_auth_methods_supported") or []
    known = (AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT)
    methods = [method for method in known if method.value == named]
    methods += [method for method in known if method.value in listed and method not in methods]
    if not methods:
        raise _refused("The document asks for a token_endpoint_auth_method that it cannot have")
    return tuple(methods)


def _grant_types(document: Mapping[str, Any]) -> frozenset[GrantType]:
    """Return the client's grants: codes always, refreshing unless a list leaves it out."""
    listed = text_list(document, "grant_types")
    if listed is None:
        return CLIENT_GRANTS
    asked = {grant for grant in CLIENT_GRANTS if grant.value in listed}
    return frozenset({GrantType.AUTHORIZATION_CODE} | asked)


def _refused(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_CLIENT_METADATA, description)
