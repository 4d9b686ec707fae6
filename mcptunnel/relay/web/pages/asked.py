"""What a client asks for, in a person's words: the endpoint, and the scopes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.resources import TUNNEL_PATH
from mcptunnel.auth.scopes import AGENT_SCOPE, DEFAULT_SCOPE, OFFLINE_ACCESS, READ_SCOPE

MAX_SHOWN_CHARS: Final = 80


class EndpointKind(StrEnum):
    EVERYTHING = "everything"
    """The hub or the whole origin: all servers of all devices of the person."""
    SERVER = "server"
    AGENT = "agent"
    """The tunnel: a device connects there."""


@dataclass(frozen=True, slots=True)
class AskedEndpoint:
    """An endpoint by its names; `server` and `device` are "" where none is named."""

    kind: EndpointKind
    server: str = ""
    device: str = ""


def asked_endpoint(resource: str) -> AskedEndpoint:
    """Return what a canonical resource (`auth.resources`) opens."""
    path = urlsplit(resource).path
    if path == TUNNEL_PATH:
        return AskedEndpoint(EndpointKind.AGENT)
    match [unquote(part) for part in path.split("/")[1:]]:
        case ["servers", server, "mcp"]:
            return AskedEndpoint(EndpointKind.SERVER, server)
        case ["devices", device, "servers", server, "mcp"]:
            return AskedEndpoint(EndpointKind.SERVER, server, device)
    return AskedEndpoint(EndpointKind.EVERYTHING)


def servers_shown(endpoint: AskedEndpoint) -> str:
    """Return which servers can be used at an endpoint."""
    if endpoint.kind is not EndpointKind.SERVER:
        return "all servers of all your devices"
    server = f"the server “{clean_text(endpoint.server, MAX_SHOWN_CHARS)}”"
    if not endpoint.device:
        return server
    return f"{server} of your device “{clean_text(endpoint.device, MAX_SHOWN_CHARS)}”"


def scopes_shown(scopes: Iterable[str], endpoint: AskedEndpoint) -> tuple[str, ...]:
    """Return a sentence for each scope."""
    known = {
        DEFAULT_SCOPE: f"Use the tools, data and prompts of {servers_shown(endpoint)}.",
        READ_SCOPE: f"See what there is on {servers_shown(endpoint)}, and read data and prompts. It can use no tool.",
        AGENT_SCOPE: "Connect a device as an agent, which offers its servers under your name.",
        OFFLINE_ACCESS: "Stay connected, without asking you to sign in each time.",
    }
    return tuple(
        known.get(scope) or f"Use what this relay calls “{clean_text(scope, MAX_SHOWN_CHARS)}”."
        for scope in scopes
    )
