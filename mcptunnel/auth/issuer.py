"""The issuer (RFC 8414, section 2): one string from the configuration, from which every URL of ours is made.

A second spelling, such as one with a slash at the end, makes clients refuse us (facts: `https://host//token`).
"""

from enum import StrEnum
from typing import NewType

from mcptunnel.auth.urls import split_url

Issuer = NewType("Issuer", str)


class Endpoint(StrEnum):
    """Paths of the authorization server; the first three are what 2025-03-26 clients fall back to."""

    AUTHORIZE = "/authorize"
    TOKEN = "/token"  # noqa: S105 - a path
    REGISTER = "/register"
    REVOKE = "/revoke"
    DEVICE_AUTHORIZATION = "/device_authorization"
    DEVICE = "/device"
    JWKS = "/.well-known/jwks.json"


def parse_issuer(public_url: str) -> Issuer:
    """Return the issuer of a relay at `public_url`: an http or https origin, without a slash at the end.

    Raises ValueError: a public URL has no path, query, fragment or user name.
    """
    url = split_url(public_url)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError("The public URL is not an http or https URL")
    if url.path not in ("", "/") or url.query is not None or url.fragment is not None:
        raise ValueError("The public URL has more than scheme, host and port")
    if url.has_userinfo:
        raise ValueError("The public URL has a user name in it")
    return Issuer(url.origin)


def endpoint(issuer: Issuer, path: str) -> str:
    """Return the URL of a path that starts with a slash."""
    return issuer + path
