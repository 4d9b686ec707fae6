"""`/authorize`: one decision about a request, from its parameters, its client, and who sits at the browser.

The decision is taken again after every step (signing in, agreeing) from the same parameters, so nothing
that was decided travels through the browser. Threats 1 to 6 and 9.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.authorization_request import (
    AuthorizationRequest,
    read_authorization_request,
    state_of,
)
from mcptunnel.auth.authorization_response import error_location
from mcptunnel.auth.client_display import ClientDisplay, client_display
from mcptunnel.auth.clients import Client, ClientKind, is_client_id
from mcptunnel.auth.consent import Consent, is_remembered
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.redirects import is_registered, stays_here
from mcptunnel.model import Principal

_SIGN_IN_AGAIN: Final = frozenset({"login", "select_account"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who sits at the browser, since when, and what they agreed to before; times are since the epoch."""

    principal: Principal
    signed_in_s: float
    consents: Collection[Consent] = ()


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Show a page with status 400, and send the browser nowhere (threat 4)."""

    message: str


@dataclass(frozen=True, slots=True)
class ErrorRedirect:
    """Send the browser to `location`, which is the client's and says what is wrong.

    With `ask_about` the person decides whether to go there: anyone can register a client whose redirect is
    a trap, and a link that is wrong on purpose would lead into it from here (RFC 9700, 4.11.2; MCP,
    Open Redirection).
    """

    location: str
    code: ErrorCode
    ask_about: ClientDisplay | None = None


@dataclass(frozen=True, slots=True)
class LogIn:
    """Let the person sign in first; `again` when they are, and have to prove it once more."""

    request: AuthorizationRequest
    again: bool


@dataclass(frozen=True, slots=True)
class AskConsent:
    """Show the consent page; its POST, in the same browser session, is what makes a code."""

    request: AuthorizationRequest
    principal: Principal


@dataclass(frozen=True, slots=True)
class ConsentRemembered:
    """The person agreed to all of this before: a code may be made without asking."""

    request: AuthorizationRequest
    principal: Principal


Decision = ErrorPage | ErrorRedirect | LogIn | AskConsent | ConsentRemembered


def named_client(parameters: Parameters) -> str | ErrorPage:
    """Return the client id of a request, for the caller to find the client, or the page that says why not."""
    try:
        client_id = parameters.require("client_id")
    except OAuthError as error:
        return ErrorPage(str(error))
    return client_id if is_client_id(client_id) else ErrorPage("The client_id is not valid")


def decide(
    parameters: Parameters,
    client: Client | None,
    signed_in: SignedIn | None,
    *,
    issuer: Issuer,
    origin_wide: bool,
    started_s: float,
    now_s: float,
) -> Decision:
    """Return what to do with an authorization request.

    `client` is who `named_client` names, or None when there is no such client. `started_s` is when these
    parameters were first seen: whoever signed in after that has done what `prompt=login` asks for.
    """
    redirect_uri = _checked_redirect(parameters, client)
    if client is None or isinstance(redirect_uri, ErrorPage):
        return redirect_uri if isinstance(redirect_uri, ErrorPage) else _UNKNOWN_CLIENT
    try:
        request = read_authorization_request(
            parameters, client, redirect_uri, issuer=issuer, origin_wide=origin_wide
        )
        return _next_step(request, signed_in, started_s, now_s)
    except OAuthError as error:
        location = error_location(issuer, redirect_uri, state_of(parameters), error)
        is_trusted = _is_trusted(client, redirect_uri, signed_in)
        asked = None if is_trusted else client_display(client, redirect_uri)
        return ErrorRedirect(location, error.code, asked)


def leave(
    step: LogIn | AskConsent | ConsentRemembered, code: ErrorCode, *, issuer: Issuer
) -> ErrorRedirect:
    """Return how a client is told that the person did not sign in."""
    request = step.request
    error = OAuthError(code, "The person did not sign in")
    location = error_location(issuer, request.redirect_uri, request.state, error)
    is_trusted = isinstance(step, ConsentRemembered) or _is_trusted(
        request.client, request.redirect_uri, None
    )
    asked = None if is_trusted else client_display(request.client, request.redirect_uri)
    return ErrorRedirect(location, code, asked)


def _is_trusted(client: Client, redirect_uri: str, signed_in: SignedIn | None) -> bool:
    """Tell whether a browser may be sent to a client whom nobody here has just agreed to.

    The operator chose it, or the person agreed to it before, or it is a program on the person's machine.
    """
    if client.kind is ClientKind.STATIC or stays_here(redirect_uri):
        return True
    consents = signed_in.consents if signed_in is not None else ()
    return any((c.client_id, c.redirect_uri) == (client.id, redirect_uri) for c in consents)


_UNKNOWN_CLIENT: Final = ErrorPage(
    "The application is not known here. It may have to connect anew."
)


def _checked_redirect(parameters: Parameters, client: Client | None) -> str | ErrorPage:
    """Return a redirect URI that is the client's. It has to be named: none is guessed."""
    if client is None:
        return _UNKNOWN_CLIENT
    try:
        if parameters.require("client_id") != client.id:
            return _UNKNOWN_CLIENT
        redirect_uri = parameters.require("redirect_uri")
    except OAuthError as error:
        return ErrorPage(str(error))
    if not is_registered(client.redirect_uris, redirect_uri):
        return ErrorPage("The application asks for an answer to an address that is not its own.")
    return redirect_uri


def _next_step(
    request: AuthorizationRequest, signed_in: SignedIn | None, started_s: float, now_s: float
) -> Decision:
    silent = "none" in request.prompt
    if signed_in is None or _is_too_old(request, signed_in, started_s, now_s):
        if silent:
            raise OAuthError(ErrorCode.LOGIN_REQUIRED, "The person has to sign in")
        return LogIn(request, again=signed_in is not None)
    if is_remembered(request, signed_in.principal, signed_in.consents):
        return ConsentRemembered(request, signed_in.principal)
    if silent:
        raise OAuthError(ErrorCode.CONSENT_REQUIRED, "The person has to agree")
    return AskConsent(request, signed_in.principal)


def _is_too_old(
    request: AuthorizationRequest, signed_in: SignedIn, started_s: float, now_s: float
) -> bool:
    """Tell whether the sign-in is older than the client accepts (`prompt`, `max_age`)."""
    if signed_in.signed_in_s >= started_s:
        return False
    if request.prompt & _SIGN_IN_AGAIN:
        return True
    return request.max_age_s is not None and now_s - signed_in.signed_in_s > request.max_age_s
