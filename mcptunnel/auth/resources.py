"""Resource indicators (RFC 8707): which MCP endpoint a token is for.

The canonical form of a resource has a lower-case scheme and host, no default port and no slash at
the end; that one string is compared. A token for the origin alone opens every endpoint, and is only
given to clients that name none (those of 2025-03-26), where the policy allows it.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.scopes import AGENT_SCOPE, DEFAULT_SCOPE
from mcptunnel.auth.urls import split_url

HUB_PATH: Final = "/mcp"
TUNNEL_PATH: Final = "/tunnel"
"""Where agents connect: a resource of its own, and a scope of its own."""

_ENDPOINT: Final = re.compile(r"/mcp|/sse|/tunnel|(?:/devices/[^/]+)?/servers/[^/]+/mcp")
_SAME_ENDPOINT: Final = {"/messages": "/sse", "/ws": TUNNEL_PATH}
"""Second paths of an endpoint: of the 2024-11-05 transport, and of the tunnel."""


def endpoint_path(path: str) -> str | None:
    """Return an MCP endpoint's path in its one spelling, or None when it is no endpoint's.

    `path` is a request's, still percent-encoded; one slash at its end is ignored.
    """
    try:
        segments = [unquote(part, errors="strict") for part in path.removesuffix("/").split("/")]
    except UnicodeDecodeError:
        return None
    if any("/" in segment or segment in (".", "..") for segment in segments):
        return None
    spelled = "/".join(quote(segment, safe="") for segment in segments)
    spelled = _SAME_ENDPOINT.get(spelled, spelled)
    return spelled if _ENDPOINT.fullmatch(spelled) else None


def needed_scope(path: str) -> str:
    """Return the scope that opens the endpoint at a request path."""
    return AGENT_SCOPE if endpoint_path(path) == TUNNEL_PATH else DEFAULT_SCOPE


def can_be_read(resource: str) -> bool:
    """Tell whether the scope for reading opens a canonical resource: where the relay reads what is asked.

    The bytes for a single server pass unread.
    """
    path = resource.partition("://")[2].partition("/")[2]
    return path in ("", "mcp", "sse")


def canonical_resource(issuer: Issuer, text: str) -> str:
    """Return the canonical form of a `resource` parameter. Raises OAuthError `invalid_target`."""
    url = split_url(text)
    if url is None or not url.host or url.has_userinfo or url.origin != issuer:
        raise OAuthError(ErrorCode.INVALID_TARGET, "The resource is not of this server")
    if url.fragment is not None or url.query is not None:
        raise OAuthError(ErrorCode.INVALID_TARGET, "The resource has a fragment or a query")
    if url.path in ("", "/"):
        return issuer
    path = endpoint_path(url.path)
    if path is None:
        raise OAuthError(ErrorCode.INVALID_TARGET, "The resource is unknown")
    return issuer + path


def default_resource(issuer: Issuer, *, origin_wide: bool) -> str:
    """Return what a client gets that names no resource, and what the root metadata describe.

    All endpoints, if the policy allows tokens for the whole origin, and the hub otherwise.
    """
    return issuer if origin_wide else issuer + HUB_PATH


def requested_resource(issuer: Issuer, text: str | None, *, origin_wide: bool) -> str:
    """Return the canonical resource of an authorization request. Raises OAuthError `invalid_target`."""
    if text is None:
        return default_resource(issuer, origin_wide=origin_wide)
    resource = canonical_resource(issuer, text)
    return resource if origin_wide or resource != issuer else issuer + HUB_PATH


def narrowed(issuer: Issuer, granted: str, text: str | None) -> str:
    """Return the resource of a new token out of a grant: the same, or one endpoint of the whole origin.

    Raises OAuthError `invalid_target` when more is asked for than was granted (RFC 8707, 2.2).
    """
    if text is None:
        return granted
    asked = canonical_resource(issuer, text)
    if granted in (asked, issuer):
        return asked
    if asked == issuer:  # the default was asked for, and narrowed when it was granted
        return granted
    raise OAuthError(ErrorCode.INVALID_TARGET, "The resource was not granted")


def is_audience(issuer: Issuer, resource: str, path: str) -> bool:
    """Tell whether a token for `resource` may be used at a request path (threat 18).

    Whole endpoints are compared: `/mcp` is not `/mcp-other`, nor `/servers/x/mcp`.
    """
    asked = endpoint_path(path)
    return asked is not None and resource in (issuer, issuer + asked)
