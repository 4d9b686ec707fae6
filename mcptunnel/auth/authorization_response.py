"""Redirects back to a client: every one with `iss` (RFC 9207) and the client's `state` (RFC 6749, 4.1.2)."""

from mcptunnel.auth.authorization_request import MAX_STATE_CHARS, AuthorizationRequest
from mcptunnel.auth.errors import ErrorCode, OAuthError, describable
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.redirects import with_parameters


def code_location(issuer: Issuer, request: AuthorizationRequest, code: str) -> str:
    """Return where to send the browser with a new code."""
    members = [("code", code), ("iss", issuer)]
    return with_parameters(request.redirect_uri, _with_state(members, request.state))


def error_location(issuer: Issuer, redirect_uri: str, state: str | None, error: OAuthError) -> str:
    """Return where to send the browser with an error; the redirect URI is one that was checked."""
    members = [("error", error.code.value), ("error_description", describable(str(error)))]
    return with_parameters(redirect_uri, _with_state([*members, ("iss", issuer)], state))


def denied_location(issuer: Issuer, request: AuthorizationRequest) -> str:
    """Return where to send the browser of a person who said no."""
    error = OAuthError(ErrorCode.ACCESS_DENIED, "The person did not agree")
    return error_location(issuer, request.redirect_uri, request.state, error)


def _with_state(members: list[tuple[str, str]], state: str | None) -> list[tuple[str, str]]:
    # An endless state would make an endless header.
    return (
        members if state is None or len(state) > MAX_STATE_CHARS else [*members, ("state", state)]
    )
