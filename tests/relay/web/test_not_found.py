"""404 is JSON, whatever the path and method."""

import pytest

from tests.relay.web.site import MemorySite

PATHS = [
    "/nothing",
    "/a/b/c",
    "//",
    "//x",
    "/mcp/x",
    "/health/",
    "/health/x",
    "/%2e%2e",
    "/%00",
    "/?",
]


@pytest.mark.parametrize("path", PATHS[:-1])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_there_is_nothing(path: str, method: str) -> None:
    answer = MemorySite().ask(method, path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"] == "not_found"


def test_a_slash_too_many_is_told() -> None:
    answer = MemorySite().ask("POST", "/mcp/")
    assert answer.status == 404
    assert answer.json["error_description"].endswith(" Did you mean /mcp?")


def test_a_query_changes_nothing() -> None:
    assert MemorySite().ask("GET", "/?x=1").status == 200
