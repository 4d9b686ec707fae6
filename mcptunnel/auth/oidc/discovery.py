"""The provider's own description (OpenID Connect Discovery 1.0; RFC 8414)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth.jose import ALGORITHMS
from mcptunnel.auth.json_objects import text_list
from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.auth.oidc.providers import Quirks, quirks_of
from mcptunnel.auth.urls import split_url

MAX_DOCUMENT_BYTES: Final = 256 * 1024
DOCUMENT_LIFETIME_S: Final = 3600.0
KEYS_LIFETIME_S: Final = 3600.0
"""For so long a document and the keys are used; a key that was taken back is believed no longer."""
KEYS_REFETCH_S: Final = 60.0
"""An unknown key is a reason to fetch the keys again, but not more often than this (threat 28)."""

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_ALL_TENANTS: Final = ("common", "organizations", "consumers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider whose description was checked."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    auth_methods: tuple[str, ...]
    sends_iss: bool
    quirks: Quirks


def discovery_url(issuer: str) -> str:
    """Return where a provider describes itself (Discovery, 4.1). Raises ProviderError.

    The path is appended to the issuer's, without the issuer's slash at the end (Auth0, Authentik).
    """
    fault = _fault_of_url(issuer)
    url = split_url(issuer)
    if fault is not None or url is None:
        raise ProviderError(f"The issuer {fault}")
    segments = url.path.strip("/").split("/")
    if quirks_of(issuer).tenant_in_issuer and segments[0] in _ALL_TENANTS:
        raise ProviderError(
            f"The issuer is of all tenants: write the id of yours instead of {segments[0]!r}"
        )
    return issuer.removesuffix("/") + _WELL_KNOWN


def read_discovery(document: Mapping[str, Any], issuer: str) -> Provider:
    """Return the provider of a fetched document. Raises ProviderError, which says what to change.

    The issuer has to be the configured one, byte for byte (Discovery, 4.3): it is half of every user's
    identity, and what stops one provider from posing as another.
    """
    _check_issuer(document.get("issuer"), issuer)
    signed_with = text_list(document, "id_token_signing_alg_values_supported") or ["RS256"]
    algorithms = tuple(one for one in ALGORITHMS if one in signed_with)
    if not algorithms:
        raise ProviderError(f"The provider signs with none of {', '.join(ALGORITHMS)}")
    if "code" not in (text_list(document, "response_types_supported") or ["code"]):
        raise ProviderError("The provider does not support the authorization code flow")
    methods = text_list(document, "token_endpoint_auth_methods_supported")
    return Provider(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        jwks_uri=_endpoint(document, "jwks_uri"),
        userinfo_endpoint=(
            _endpoint(document, "userinfo_endpoint") if document.get("userinfo_endpoint") else None
        ),
        algorithms=algorithms,
        auth_methods=tuple(methods or ("client_secret_basic",)),
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        quirks=quirks_of(issuer),
    )


def token_auth_method(provider: Provider, *, has_secret: bool) -> str:
    """Return how the relay proves itself at the provider's token endpoint. Raises ProviderError."""
    wanted = ("client_secret_basic", "client_secret_post") if has_secret else ("none",)
    for method in wanted:
        if method in provider.auth_methods:
            return method
    if not has_secret:  # many providers take public clients and do not say so
        return "none"
    if "none" in provider.auth_methods:
        raise ProviderError("The provider takes no client_secret: leave it out")
    raise ProviderError(f"The provider supports none of {', '.join(wanted)}")


def _check_issuer(said: object, issuer: str) -> None:
    if said == issuer:
        return
    if not isinstance(said, str):
        raise ProviderError("The provider does not say who it is: its document has no issuer")
    if "{tenantid}" in said:
        raise ProviderError("The issuer is of all tenants: write the id of yours into it")
    if said.rstrip("/") == issuer.rstrip("/"):
        raise ProviderError(f"The provider calls itself {said!r}: write it so, with or without '/'")
    raise ProviderError(f"The provider calls itself {said!r}, and not {issuer!r}")


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    text = document.get(name)
    if not isinstance(text, str):
        raise ProviderError(f"The provider's document has no {name}")
    fault = _fault_of_url(text)
    if fault is not None and fault != _HAS_QUERY:
        raise ProviderError(f"The provider's {name} {fault}")
    return text


_HAS_QUERY: Final = "has a query"


def _fault_of_url(text: str) -> str | None:
    """Return why a URL cannot be a provider's: https is needed, except on this machine."""
    url = split_url(text)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        return "is not an https URL"
    if url.scheme == "http" and not url.is_loopback:
        return "is not encrypted: it has to be https"
    if url.has_userinfo or url.fragment is not None:
        return "has a user name or a fragment"
    return None if url.query is None else _HAS_QUERY
