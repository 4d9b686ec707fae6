"""One sign-in at a provider, from the redirect there to the redirect back (threats 1, 9 and 28).

State, nonce and PKCE verifier are made for each sign-in, kept with the browser's session, used once, and
forgotten after ten minutes.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.oidc.discovery import Provider
from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import METHOD, challenge_of, new_verifier
from mcptunnel.auth.redirects import with_parameters

RANDOM_BYTES: Final = 96
LIFETIME_S: Final = 600.0
DEFAULT_SCOPES: Final = ("openid", "profile", "email")
_PART_BYTES: Final = 32
_MAX_SHOWN_CHARS: Final = 200
_TEMPORARY: Final = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in under way, as the browser's session keeps it; times are since the epoch."""

    issuer: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    started_s: float
    again: bool = False
    """The person has to prove who they are, even if the provider still knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """What the relay is to its provider."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...] = DEFAULT_SCOPES


def begin(provider: Provider, *, random: bytes, now_s: float, again: bool = False) -> Attempt:
    """Return a new sign-in from 96 random bytes; ValueError for another number."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random)}")
    state, nonce, verifier = (
        random[i : i + _PART_BYTES] for i in range(0, RANDOM_BYTES, _PART_BYTES)
    )
    return Attempt(
        issuer=provider.issuer,
        state=urlsafe_b64encode(state).rstrip(b"=").decode(),
        nonce=urlsafe_b64encode(nonce).rstrip(b"=").decode(),
        verifier=new_verifier(verifier),
        started_s=now_s,
        again=again,
    )


def sign_in_url(
    provider: Provider,
    party: RelyingParty,
    attempt: Attempt,
    *,
    login_hint: str = "",
    extra: Mapping[str, str] | None = None,
) -> str:
    """Return where to send the browser.

    `extra` are parameters of the operator's choice, such as `hd`; they cannot replace ours.
    """
    scopes = party.scopes if "openid" in party.scopes else ("openid", *party.scopes)
    ours = {
        "response_type": "code",
        "client_id": party.client_id,
        "redirect_uri": party.redirect_uri,
        "scope": " ".join(scopes),
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge_of(attempt.verifier),
        "code_challenge_method": METHOD,
    }
    if attempt.again:
        ours |= {"prompt": "login", "max_age": "0"}
    if login_hint:
        ours["login_hint"] = login_hint
    members = {**(extra or {}), **ours}
    return with_parameters(provider.authorization_endpoint, members.items())


def callback_code(
    parameters: Parameters, attempt: Attempt | None, provider: Provider, *, now_s: float
) -> str:
    """Return the code that the provider sent back. Raises SignInError, with the provider's reason if it has one.

    `attempt` is the session's, None when it has none: a callback that nobody began signs nobody in.
    """
    try:
        parameters.refuse_repeated()
        state = parameters.require("state")
    except OAuthError as error:
        raise SignInError("The provider's answer is not valid") from error
    if attempt is None or not hmac.compare_digest(state.encode(), attempt.state.encode()):
        raise SignInError("This browser did not begin to sign in, or did so more than once")
    if attempt.issuer != provider.issuer or now_s - attempt.started_s > LIFETIME_S:
        raise SignInError("Signing in took too long")
    iss = parameters.get("iss")
    if iss != provider.issuer and (iss is not None or provider.sends_iss):
        raise SignInError("The answer came from another provider")
    if (refused := parameters.get("error")) is not None:
        reason = _reason(refused, parameters.get("error_description"))
        raise SignInError(reason, is_temporary=refused in _TEMPORARY)
    code = parameters.get("code")
    if code is None:
        raise SignInError("The provider's answer has no code")
    return code


def token_request(party: RelyingParty, attempt: Attempt, code: str) -> dict[str, str]:
    """Return the members of the token request; how the relay proves itself comes to them."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": party.redirect_uri,
        "client_id": party.client_id,
        "code_verifier": attempt.verifier,
    }


def pack(attempt: Attempt) -> bytes:
    """Return an attempt as bytes, to be sealed and kept with the browser's session; `unpack` reads them."""
    return json.dumps(asdict(attempt), separators=(",", ":")).encode()


def unpack(raw: bytes) -> Attempt | None:
    """Return the attempt, or None if it is of a version that kept other things."""
    try:
        return Attempt(**json.loads(raw))
    except (ValueError, TypeError):
        return None


def _reason(code: str, description: str | None) -> str:
    said = clean_text(description, _MAX_SHOWN_CHARS) or clean_text(code, _MAX_SHOWN_CHARS)
    return f"The provider did not sign you in: {said}"
