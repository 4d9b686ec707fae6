"""An authorization request, read and checked (RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2.1)."""

import re
from dataclasses import dataclass, field
from typing import Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.clients import Client, GrantType
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import required_challenge
from mcptunnel.auth.resources import requested_resource
from mcptunnel.auth.scopes import requested_scopes

MAX_STATE_CHARS: Final = 4096
_MAX_HINT_CHARS: Final = 255
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asks for; `scopes` are known ones, `resource` is canonical, `max_age_s` in seconds."""

    client: Client
    redirect_uri: str
    state: str | None = field(default=None, repr=False)
    challenge: str = field(repr=False)
    resource: str
    scopes: tuple[str, ...]
    prompt: frozenset[str] = frozenset()
    login_hint: str = ""
    max_age_s: float | None = None


def read_authorization_request(
    parameters: Parameters,
    client: Client,
    redirect_uri: str,
    *,
    issuer: Issuer,
    origin_wide: bool,
) -> AuthorizationRequest:
    """Return a request whose client and redirect URI were checked. Raises OAuthError, for a redirect.

    Unknown parameters are ignored, unless one comes twice (RFC 6749, 3.1).
    """
    parameters.refuse_repeated()
    _check_kind(parameters, client)
    scopes = requested_scopes(parameters.get("scope"), client.scopes)
    if not scopes:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The client may not ask for any scope")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        state=state_of(parameters),
        challenge=required_challenge(
            parameters.get("code_challenge"), parameters.get("code_challenge_method")
        ),
        resource=requested_resource(issuer, parameters.get("resource"), origin_wide=origin_wide),
        scopes=scopes,
        prompt=_prompt(parameters.get("prompt")),
        login_hint=clean_text(parameters.get("login_hint"), _MAX_HINT_CHARS),
        max_age_s=_max_age(parameters.get("max_age")),
    )


def state_of(parameters: Parameters) -> str | None:
    """Return the client's `state`, to be given back unchanged; none if it came twice."""
    return None if "state" in parameters.repeated else parameters.get("state")


def _check_kind(parameters: Parameters, client: Client) -> None:
    if parameters.get("request") is not None:
        raise OAuthError(ErrorCode.REQUEST_NOT_SUPPORTED, "Request objects are not supported")
    if parameters.get("request_uri") is not None:
        raise OAuthError(ErrorCode.REQUEST_URI_NOT_SUPPORTED, "A request_uri is not supported")
    if parameters.require("response_type") != "code":
        raise OAuthError(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "The response_type has to be code")
    if parameters.get("response_mode") not in (None, "query"):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The response_mode has to be query")
    if not client.may_use(GrantType.AUTHORIZATION_CODE):
        raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "The client may not use codes")
    if len(parameters.get("state") or "") > MAX_STATE_CHARS:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The state is too long")


def _prompt(text: str | None) -> frozenset[str]:
    """Return the prompts; `none` means that nobody may be asked, so it stands alone."""
    prompts = frozenset((text or "").split())
    if "none" in prompts and len(prompts) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The prompt none cannot be combined")
    return prompts


def _max_age(text: str | None) -> float | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The max_age is not a number of seconds")
    return float(text)
