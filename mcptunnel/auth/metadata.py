"""Discovery documents (RFC 8414, RFC 9728, OpenID Connect Discovery 1.0), all from one issuer string."""

from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth.issuer import Endpoint, Issuer, endpoint
from mcptunnel.auth.jose import ALGORITHMS
from mcptunnel.auth.resources import default_resource, endpoint_path, needed_scope
from mcptunnel.auth.scopes import DEFAULT_SCOPE, OFFLINE_ACCESS, READ_SCOPE

PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION: Final = "/.well-known/openid-configuration"

AUTH_METHODS: Final = ("none", "client_secret_post", "client_secret_basic", "private_key_jwt")

NO_KEYS: Final[dict[str, Any]] = {"keys": []}
"""What `Endpoint.JWKS` answers: our tokens are opaque, so there is no key to publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the relay offers besides the authorization code grant."""

    registration: bool = True
    client_documents: bool = True
    device_grant: bool = True


def authorization_server(issuer: Issuer, features: Features) -> dict[str, Any]:
    """Return the metadata of the authorization server (RFC 8414, section 2)."""
    grants = ["authorization_code", "refresh_token"]
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": endpoint(issuer, Endpoint.AUTHORIZE),
        "token_endpoint": endpoint(issuer, Endpoint.TOKEN),
        "revocation_endpoint": endpoint(issuer, Endpoint.REVOKE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [DEFAULT_SCOPE, READ_SCOPE, OFFLINE_ACCESS],
        # Claude uses client documents only where `none` is in this list as well.
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "client_id_metadata_document_supported": features.client_documents,
        "authorization_response_iss_parameter_supported": True,
    }
    if features.registration:
        document["registration_endpoint"] = endpoint(issuer, Endpoint.REGISTER)
    if features.device_grant:
        grants.append("urn:ietf:params:oauth:grant-type:device_code")
        device = endpoint(issuer, Endpoint.DEVICE_AUTHORIZATION)
        document["device_authorization_endpoint"] = device
    return document


def openid_configuration(issuer: Issuer, features: Features) -> dict[str, Any]:
    """Return the same under the name that OpenID clients look for, with the members their schemas want.

    There are no ID tokens: no scope `openid`, and the key set is empty.
    """
    return authorization_server(issuer, features) | {
        "jwks_uri": endpoint(issuer, Endpoint.JWKS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def protected_resource(issuer: Issuer, path: str, *, origin_wide: bool) -> dict[str, Any] | None:
    """Return the metadata of the resource at a path (RFC 9728, section 2), or None if there is none.

    `path` is what follows `PROTECTED_RESOURCE` in the request: "" for the root, which names what a
    client gets that asks for no resource. `offline_access` is not a scope of a resource, and clients ask for
    all that is listed here: so `mcp:read`, which is a part of `mcp`, is not.
    """
    if path in ("", "/"):
        resource = default_resource(issuer, origin_wide=origin_wide)
    else:
        known = endpoint_path(path)
        if known is None:
            return None
        resource = issuer + known
    return {
        "resource": resource,
        "authorization_servers": [issuer],
        "scopes_supported": [needed_scope(path)],
        "bearer_methods_supported": ["header"],
    }


def protected_resource_url(issuer: Issuer, path: str) -> str:
    """Return where the metadata of the endpoint at a request path are; unknown paths get the root's.

    A challenge may be asked for before routing, so any path has an answer.
    """
    return issuer + PROTECTED_RESOURCE + (endpoint_path(path) or "")
