"""What a client asks for, in a person's words."""

import pytest

from mcptunnel.relay.web.pages.asked import (
    AskedEndpoint,
    EndpointKind,
    asked_endpoint,
    scopes_shown,
    servers_shown,
)

ORIGIN = "https://relay.example.com"
EVERYTHING = AskedEndpoint(EndpointKind.EVERYTHING)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("", EVERYTHING),
        ("/mcp", EVERYTHING),
        ("/sse", EVERYTHING),
        ("/tunnel", AskedEndpoint(EndpointKind.AGENT)),
        ("/servers/time/mcp", AskedEndpoint(EndpointKind.SERVER, "time")),
        ("/servers/K%C3%BCche%20%2B/mcp", AskedEndpoint(EndpointKind.SERVER, "Küche +")),
        (
            "/devices/laptop/servers/time/mcp",
            AskedEndpoint(EndpointKind.SERVER, "time", "laptop"),
        ),
    ],
)
def test_what_a_resource_opens(path: str, endpoint: AskedEndpoint) -> None:
    assert asked_endpoint(ORIGIN + path) == endpoint


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        (EVERYTHING, "all servers of all your devices"),
        (AskedEndpoint(EndpointKind.SERVER, "time"), "the server “time”"),
        (
            AskedEndpoint(EndpointKind.SERVER, "a\u202eb", "lap\ntop"),
            "the server “ab” of your device “lap top”",
        ),
    ],
)
def test_which_servers(endpoint: AskedEndpoint, shown: str) -> None:
    assert servers_shown(endpoint) == shown


def test_scopes_are_sentences() -> None:
    """In order; one that we have no words for is named as it is, cleaned."""
    asked = ("mcp", "offline_access", "agent", "mcp:to\u202eols", "mcp:read")
    sentences = scopes_shown(asked, EVERYTHING)
    assert [one.split()[0] for one in sentences] == ["Use", "Stay", "Connect", "Use", "See"]
    assert sentences[3] == "Use what this relay calls “mcp:tools”."
    assert "all servers of all your devices" in sentences[0]
