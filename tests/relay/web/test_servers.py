"""Names of servers in the path."""

import pytest

from mcptunnel.auth.keys import Scope
from tests.conftest import LoggedFailures
from tests.relay.web.transparent_site import TransparentSite


@pytest.mark.parametrize(
    "path",
    [
        "/servers",
        "/servers/",
        "/servers/web",
        "/servers/web/mcp/",
        "/servers/web/mcp/x",
        "/devices/laptop/mcp",
    ],
)
def test_paths_that_are_no_addresses(path: str) -> None:
    """Who has no token hears the same as at any other: what is there is not for strangers."""
    site = TransparentSite()
    for method in ("GET", "POST"):
        refused = site.ask(method, path)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert site.begin(method, path, b"{}").answer.status == 404
        assert site.begin(method, path, token=site.key(scope=Scope.AGENT)).answer.status == 403
    assert site.local.asked == []


def test_a_slash_too_many_is_told() -> None:
    answer = TransparentSite().begin("GET", "/servers/web/mcp/").answer
    assert answer.status == 404
    assert answer.json["error_description"].endswith("Did you mean /servers/web/mcp?")


def test_no_address_is_anything_to_another_host_or_origin() -> None:
    site = TransparentSite()
    assert (
        site.begin("GET", "/servers/web", fields={"origin": "https://evil.test"}).answer.status
        == 403
    )


@pytest.mark.parametrize("path", ["/servers/w%65b/mcp", "/devices/l%61ptop/servers/web/mcp"])
def test_names_may_be_written_with_escapes(path: str) -> None:
    site = TransparentSite()
    site.begin("GET", path)
    assert len(site.local.asked) == 1


def test_a_mistake_of_ours_is_told(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    site = TransparentSite()
    monkeypatch.setattr(site.joined.devices, "first_bearer", lambda *_: 1 / 0)
    assert site.begin("GET", "/servers/web/mcp").answer.status == 500
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_name_that_is_no_text_is_nobodys() -> None:
    assert TransparentSite().begin("GET", "/servers/%ff/mcp").answer.status == 404
