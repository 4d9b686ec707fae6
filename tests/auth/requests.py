"""A client and its authorization request, for tests."""

from typing import Any

from mcptunnel.auth.authorization_request import AuthorizationRequest
from mcptunnel.auth.clients import Client, ClientKind
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import challenge_of
from mcptunnel.model import Principal

R = Issuer("https://relay.example")
WEB = "https://app.example/cb"
VERIFIER = "v" * 43
ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")


def client(**members: Any) -> Client:
    given = {"id": "c", "kind": ClientKind.REGISTERED, "name": "App", "redirect_uris": (WEB,)}
    return Client(**{**given, **members})


def parameters(**changes: str | None) -> Parameters:
    """Return the parameters that every client sends, with changes; None takes one away."""
    values = {
        "response_type": "code",
        "client_id": "c",
        "redirect_uri": WEB,
        "state": "s t&a",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "resource": f"{R}/mcp",
        "scope": "mcp",
        **changes,
    }
    return Parameters({name: value for name, value in values.items() if value is not None})


def request(**members: Any) -> AuthorizationRequest:
    given = {
        "client": client(),
        "redirect_uri": WEB,
        "state": "s t&a",
        "challenge": challenge_of(VERIFIER),
        "resource": f"{R}/mcp",
        "scopes": ("mcp",),
    }
    return AuthorizationRequest(**{**given, **members})
