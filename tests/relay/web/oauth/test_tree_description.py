"""The OpenAPI description says what is there: the paths, their methods, and the members of the documents."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.metadata import NO_KEYS
from mcptunnel.relay.web.oauth.programs import ForPrograms
from mcptunnel.relay.web.people import ForPeople
from tests.relay.web.oauth.site import OAuthSite

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"
DESCRIPTION: dict[str, Any] = json.loads((REFERENCE / "openapi.json").read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
METHODS = {"get", "head", "post", "options", "put", "delete", "patch", "trace"}
ONLY_AT_AUTHORIZE = {
    ErrorCode.UNSUPPORTED_RESPONSE_TYPE,
    ErrorCode.LOGIN_REQUIRED,
    ErrorCode.CONSENT_REQUIRED,
    ErrorCode.REQUEST_NOT_SUPPORTED,
    ErrorCode.REQUEST_URI_NOT_SUPPORTED,
}
"""What a client is told by a redirect."""


def methods_of(path: str) -> set[str]:
    return {name.upper() for name in DESCRIPTION["paths"][path] if name in METHODS}


def values(tree: Any, name: str) -> Iterator[Any]:
    """Give the values of a member, wherever it is."""
    inner: Any = ()
    if isinstance(tree, dict):
        if name in tree:
            yield tree[name]
        inner = tree.values()
    elif isinstance(tree, list):
        inner = tree
    for each in inner:
        yield from values(each, name)


def test_the_paths_are_those_of_the_server(site: OAuthSite) -> None:
    """Each child of the root is described with its methods, and nothing else is."""
    there_are = {
        name.decode(): resource
        for name, resource in site.root.children.items()
        if type(resource).__module__.startswith("mcptunnel.relay.web.oauth.")
    }
    assert {path.split("/")[1] for path in DESCRIPTION["paths"]} == there_are.keys()
    for path in DESCRIPTION["paths"]:
        resource = there_are[path.split("/")[1]]
        assert isinstance(resource, ForPrograms | ForPeople)
        there = {method.decode() for method in resource.methods}
        also = {"OPTIONS"} if isinstance(resource, ForPrograms) else set()
        assert methods_of(path) == there | also, path


def test_the_paths_are_those_of_the_reference() -> None:
    page = (REFERENCE / "oauth.md").read_text()
    table = page.partition("## Endpoints")[2].partition("## Clients")[0]
    named = set(re.findall(r"`(/[a-z._/-]+)`", table))
    described = {path for path in DESCRIPTION["paths"] if not path.endswith("/mcp")}
    assert named >= described
    assert {path.split("/")[1] for path in named} == {path.split("/")[1] for path in described}


def test_every_reference_leads_somewhere() -> None:
    for reference in values(DESCRIPTION, "$ref"):
        start, *names = reference.split("/")
        assert start == "#"
        found = DESCRIPTION
        for name in names:
            found = found[name]


def test_the_errors_are_those_that_there_are() -> None:
    """Every code that a program can be answered with is described; each of them exists."""
    errors = [one["enum"] for one in values(DESCRIPTION, "error") if "enum" in one]
    codes = {code for each in errors for code in each}
    of_http = {"not_found", "method_not_allowed", "too_many_requests", "temporarily_unavailable"}
    at_endpoints = {ErrorCode.INSUFFICIENT_SCOPE}
    known = {str(code) for code in set(ErrorCode) - ONLY_AT_AUTHORIZE - at_endpoints}
    assert codes == known | of_http


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/.well-known/oauth-protected-resource", "ProtectedResource"),
        ("/.well-known/oauth-authorization-server", "AuthorizationServer"),
        ("/.well-known/openid-configuration", "OpenIdConfiguration"),
        ("/.well-known/jwks.json", "Keys"),
    ],
)
def test_the_documents_have_the_members_that_are_described(
    site: OAuthSite, path: str, schema: str
) -> None:
    document = site.send("GET", path).json
    assert document.keys() == SCHEMAS[schema]["properties"].keys()
    for name, value in document.items():
        allowed = SCHEMAS[schema]["properties"][name].get("items", {}).get("enum")
        if allowed is not None:
            assert set(value) <= set(allowed), name
    if schema == "Keys":
        assert document == NO_KEYS
