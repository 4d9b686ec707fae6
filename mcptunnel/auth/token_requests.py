"""Requests to the token and device authorization endpoints, read (RFC 6749, 4.1.3 and 6; RFC 8628, 3.1 and 3.4)."""

from dataclasses import dataclass

from mcptunnel.auth.clients import Client, GrantType
from mcptunnel.auth.codes import CodeExchange
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.refreshing import RefreshRequest
from mcptunnel.auth.resources import requested_resource
from mcptunnel.auth.scopes import requested_scopes
from mcptunnel.auth.tokens import TokenKind, parse


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A code, by its hash (None when it can be none of ours), and what came with it."""

    code_hash: bytes | None
    presented: CodeExchange


@dataclass(frozen=True, slots=True)
class RefreshTokenRequest:
    """A refresh token, by its hash (None when it can be none of ours), and what is asked for with it."""

    token_hash: bytes | None
    asked: RefreshRequest


@dataclass(frozen=True, slots=True)
class DeviceCodeRequest:
    """A poll with a device code, by its hash (None when it can be none of ours)."""

    device_code_hash: bytes | None


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a device grant is begun for: a canonical resource, and known scopes."""

    resource: str
    scopes: tuple[str, ...]


TokenRequest = CodeRequest | RefreshTokenRequest | DeviceCodeRequest


def read_token_request(parameters: Parameters, client: Client) -> TokenRequest:
    """Return what an authenticated client asks for. Raises OAuthError."""
    grant = parameters.require("grant_type")
    if grant not in tuple(GrantType):
        raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "The grant_type is not supported")
    _check_grant(client, GrantType(grant))
    if grant == GrantType.AUTHORIZATION_CODE:
        presented = CodeExchange(
            client_id=client.id,
            redirect_uri=parameters.get("redirect_uri"),
            verifier=parameters.get("code_verifier"),
            resource=parameters.get("resource"),
        )
        return CodeRequest(_hash(parameters.require("code"), TokenKind.CODE), presented)
    if grant == GrantType.REFRESH_TOKEN:
        asked = RefreshRequest(parameters.get("scope"), parameters.get("resource"))
        token = parameters.require("refresh_token")
        return RefreshTokenRequest(_hash(token, TokenKind.REFRESH), asked)
    device_code = parameters.require("device_code")
    return DeviceCodeRequest(_hash(device_code, TokenKind.DEVICE_CODE))


def read_device_request(
    parameters: Parameters, client: Client, *, issuer: Issuer, origin_wide: bool
) -> DeviceRequest:
    """Return what a device grant is to be for. Raises OAuthError."""
    _check_grant(client, GrantType.DEVICE_CODE)
    scopes = requested_scopes(parameters.get("scope"), client.scopes)
    if not scopes:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The client may not ask for any scope")
    resource = parameters.get("resource")
    return DeviceRequest(requested_resource(issuer, resource, origin_wide=origin_wide), scopes)


def _check_grant(client: Client, grant: GrantType) -> None:
    # Whoever was given a refresh token for `offline_access` may use it (grants.issue).
    if grant is not GrantType.REFRESH_TOKEN and not client.may_use(grant):
        raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "The client may not use this grant_type")


def _hash(text: str, kind: TokenKind) -> bytes | None:
    parsed = parse(text)
    return parsed.hash if parsed is not None and parsed.kind is kind else None
