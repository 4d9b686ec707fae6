"""Names of servers in the path."""

import pytest

from tests.conftest import LoggedFailures
from tests.relay.web.transparent_site import TransparentSite


@pytest.mark.parametrize(
    "path", ["/servers", "/servers/", "/servers/web", "/servers/web/mcp/x", "/devices/laptop/mcp"]
)
def test_paths_that_are_no_addresses(path: str) -> None:
    """404 even without a token, as anywhere."""
    assert TransparentSite().ask("GET", path).status == 404


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
