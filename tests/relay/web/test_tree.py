"""Which endpoint is where."""

import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.relay.web.pages.assets import assets
from tests.relay.web.site import MemorySite


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/servers/x/mcp", 401),
        ("/devices/y/servers/x/mcp", 401),
        ("/", 200),
        ("/health", 200),
        ("/ready", 200),
        ("/mcp", 401),
        ("/tunnel", 401),
        ("/ws", 401),
        (assets()["style.css"].path, 200),
        ("/x", 404),
    ],
)
def test_every_place(path: str, status: int) -> None:
    assert MemorySite().ask("GET", path).status == status


def test_clients_and_agents_have_their_own_doors() -> None:
    site = MemorySite()
    for path, scope, status in (
        ("/mcp", Scope.MCP, 405),
        ("/tunnel", Scope.AGENT, 426),
        ("/ws", Scope.AGENT, 426),
    ):
        token = {"authorization": f"Bearer {site.key(scope=scope)}"}
        assert site.ask("GET", path, token).status == status
