"""What a relay's authorization server says to an agent; read strictly, and nothing secret is repeated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import isfinite
from typing import Any, Final

from mcptunnel.agent.sign_in.grant import Tokens, is_token
from mcptunnel.auth.agent_client import USER
from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.errors import NO_SIGN_IN, ErrorCode
from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.auth.urls import split_url
from mcptunnel.config.agent_key import make_key_command
from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError

MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_WORDS: Final = 200
_MAX_CODE_CHARS: Final = 64
_MAX_URL_CHARS: Final = 2048
_MOST_S: Final = 366 * 86_400.0
_LEAST_INTERVAL_S: Final = 1.0
_MOST_INTERVAL_S: Final = 300.0

_VERDICTS: Final = frozenset(
    {
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_CLIENT,
        ErrorCode.INVALID_GRANT,
        ErrorCode.INVALID_SCOPE,
        ErrorCode.INVALID_TARGET,
        ErrorCode.UNAUTHORIZED_CLIENT,
        ErrorCode.UNSUPPORTED_GRANT_TYPE,
        ErrorCode.ACCESS_DENIED,
        ErrorCode.EXPIRED_TOKEN,
        ErrorCode.AUTHORIZATION_PENDING,
        ErrorCode.SLOW_DOWN,
    }
)
"""What these endpoints refuse with (RFC 6749, 5.2; RFC 8628, 3.5; RFC 8707, 2): with 400 or 401. All
else is another server's word, such as of one in front of a relay that is down."""


class RelayUnavailableError(McpTunnelError):
    """No answer that says anything about us; a later one may. `retry_after_s` is what the relay asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(McpTunnelError):
    """The authorization server refused; `code` is OAuth's word for why, `str()` is for people."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description or code)
        self.code = code


class NoSignInError(McpTunnelError):
    """Nobody can sign in there; `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """Where things are (RFC 8414), all at the relay's own origin; `device` is None if that is not offered."""

    issuer: str
    authorization: str
    token: str
    revocation: str
    device: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCodes:
    """A device grant that waits for a person (RFC 8628, 3.2)."""

    device_code: str = field(repr=False)
    user_code: str
    page: str
    page_with_code: str
    lifetime_s: float
    interval_s: float


def read_metadata(relay: str, status: int, body: bytes) -> ServerMetadata:
    """Return the metadata of the relay with this origin. Raises NoSignInError, RelayUnavailableError."""
    members = _members(body)
    _refuse_without_sign_in(status, members)
    if status == HTTPStatus.NOT_FOUND:
        told = _words(members, "error_description") or _words(members, "message")
        said = f" (it said: {told.rstrip('.')})" if told else ""
        raise NoSignInError(
            f"Nobody can sign in at {relay}: it takes keys alone, or is no mcptunnel relay{said}. "
            "Ask who runs it for a key."
        )
    if status != HTTPStatus.OK or not members:
        raise RelayUnavailableError(_odd(status))
    issuer = members.get("issuer")
    if issuer != relay:
        raise NoSignInError(_other_issuer(relay, issuer))
    if members.get("authorization_response_iss_parameter_supported") is not True:
        raise NoSignInError(f"{relay} is no mcptunnel relay, or one of another version.")
    return ServerMetadata(
        issuer=relay,
        authorization=_endpoint(members, "authorization_endpoint", relay),
        token=_endpoint(members, "token_endpoint", relay),
        revocation=_endpoint(members, "revocation_endpoint", relay),
        device=(
            _endpoint(members, "device_authorization_endpoint", relay)
            if "device_authorization_endpoint" in members
            else None
        ),
    )


def read_tokens(status: int, body: bytes, retry_after_s: float | None = None) -> Tokens:
    """Return what `/token` gave. Raises RefusedError, RelayUnavailableError, NoSignInError."""
    members = _granted(status, body, retry_after_s)
    access, refresh = members.get("access_token"), members.get("refresh_token")
    kind, lifetime_s = members.get("token_type"), _seconds(members, "expires_in")
    if not isinstance(access, str) or not is_token(access, TokenKind.ACCESS):
        raise RelayUnavailableError("the relay's answer has no access token")
    if not isinstance(kind, str) or kind.lower() != "bearer" or lifetime_s is None:
        raise RelayUnavailableError("the relay's answer has no bearer token with an end")
    if refresh is not None and not (
        isinstance(refresh, str) and is_token(refresh, TokenKind.REFRESH)
    ):
        raise RelayUnavailableError("the relay's answer has no refresh token that can be read")
    return Tokens(
        access_token=Secret(access),
        refresh_token=None if refresh is None else Secret(refresh),
        lifetime_s=lifetime_s,
        user=_words(members, USER),
    )


def read_device_codes(
    relay: str, status: int, body: bytes, retry_after_s: float | None = None
) -> DeviceCodes:
    """Return what `/device_authorization` gave; raises what `read_tokens` does."""
    members = _granted(status, body, retry_after_s)
    device_code, user_code = members.get("device_code"), members.get("user_code")
    page, lifetime_s = members.get("verification_uri"), _seconds(members, "expires_in")
    if not isinstance(device_code, str) or not is_token(device_code, TokenKind.DEVICE_CODE):
        raise RelayUnavailableError("the relay's answer has no device code")
    if not (isinstance(user_code, str) and 0 < len(user_code) <= _MAX_CODE_CHARS):
        raise RelayUnavailableError("the relay's answer has no code to type")
    if not _is_of(page, relay) or lifetime_s is None:
        raise RelayUnavailableError("the relay's answer has no page of its own to type a code at")
    whole = members.get("verification_uri_complete")
    interval_s = _seconds(members, "interval") or 5.0  # RFC 8628, 3.2
    return DeviceCodes(
        device_code=device_code,
        user_code=clean_text(user_code, _MAX_CODE_CHARS),
        page=str(page),
        page_with_code=str(whole) if _is_of(whole, relay) else str(page),
        lifetime_s=lifetime_s,
        interval_s=min(max(interval_s, _LEAST_INTERVAL_S), _MOST_INTERVAL_S),
    )


def _granted(status: int, body: bytes, retry_after_s: float | None) -> Mapping[str, Any]:
    members = _members(body)
    _refuse_without_sign_in(status, members)
    code = members.get("error")
    if isinstance(code, str) and code in _VERDICTS and _is_verdict(status):
        described = _words(members, "error_description").rstrip(".")
        raise RefusedError(code, described)
    if status != HTTPStatus.OK or not members:
        raise RelayUnavailableError(_odd(status), retry_after_s)
    return members


def _refuse_without_sign_in(status: int, members: Mapping[str, Any]) -> None:
    if status == HTTPStatus.NOT_FOUND and members.get("error") == NO_SIGN_IN:
        told = _words(members, "error_description").rstrip(".")
        raise NoSignInError(
            f"Nobody can sign in at this relay (it said: {told}). Its agents need a key: who runs it "
            f"makes one with `{make_key_command('agent.key')}`. Give it as key_file."
        )


def _is_verdict(status: int) -> bool:
    """Tell whether a status is about the request; others are about the relay, or the day."""
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(body, max_bytes=MAX_ANSWER_BYTES)
    except NotAnObjectError:
        return {}


def _words(members: Mapping[str, Any], name: str) -> str:
    return clean_text(members.get(name), _MAX_WORDS)


def _seconds(members: Mapping[str, Any], name: str) -> float | None:
    value = members.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return min(float(value), _MOST_S) if value > 0 else None


def _endpoint(members: Mapping[str, Any], name: str, relay: str) -> str:
    value = members.get(name)
    if not _is_of(value, relay):
        raise NoSignInError(f"{relay} names no {name} of its own: it is no mcptunnel relay.")
    return str(value)


def _is_of(value: object, relay: str) -> bool:
    """Tell whether a value is a URL of the relay: a credential goes nowhere else."""
    url = split_url(value, max_chars=_MAX_URL_CHARS) if isinstance(value, str) else None
    return url is not None and url.origin == relay and not url.has_userinfo and not url.fragment


def _other_issuer(relay: str, issuer: object) -> str:
    url = split_url(issuer, max_chars=_MAX_URL_CHARS) if isinstance(issuer, str) else None
    if url is None or issuer != url.origin:
        return f"{relay} does not say who it is: it is no mcptunnel relay."
    return (
        f"The relay at {relay} calls itself {url.origin} (its public_url). Use that address, here "
        "and as `relay` of the agent; or let its operator correct public_url."
    )


def _odd(status: int) -> str:
    if status == HTTPStatus.OK:
        return "the relay's answer is no JSON object"
    return f"the relay answered {status}"
