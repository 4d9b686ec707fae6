"""The settings of the authorization server, out of the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mcptunnel.auth.agent_client import AGENT_CLIENT, AGENT_CLIENT_ID
from mcptunnel.auth.client_documents import read_pinned
from mcptunnel.auth.clients import AuthMethod, Client, ClientKind
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.fetch_urls import HostPolicy
from mcptunnel.auth.grants import Lifetimes
from mcptunnel.auth.issuer import parse_issuer
from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.redirects import redirect_fault
from mcptunnel.auth.tokens import hash_token
from mcptunnel.config.oauth import OAuthClientConfig, OAuthConfig
from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError
from mcptunnel.relay.oauth.settings import OAuthSettings

_MAX_FILE_BYTES: Final = 1024 * 1024


class UnusableClientError(McpTunnelError):
    """A client of the configuration that could not be used as it is."""


def oauth_settings(config: OAuthConfig, public_url: str) -> OAuthSettings:
    """Return the settings. Raises UnusableClientError, which says what to change."""
    clients = {one.name: _client(one) for one in config.clients}
    if AGENT_CLIENT_ID in clients:
        raise UnusableClientError(
            f"auth.oauth.clients.{AGENT_CLIENT_ID}: this id is that of all agents; choose another"
        )
    return OAuthSettings(
        issuer=parse_issuer(public_url),
        lifetimes=Lifetimes(
            access_s=config.access_lifetime_s,
            refresh_idle_s=config.refresh_idle_s,
            family_s=config.grant_lifetime_s,
            grace_s=config.refresh_grace_s,
        ),
        origin_wide=config.origin_wide_tokens,
        registration=config.registration != "off",
        registration_token_hash=_hash(config.registration_token),
        client_documents=config.client_documents,
        document_hosts=HostPolicy(config.document_hosts, config.refused_document_hosts),
        device_grant=config.device_codes,
        clients=clients | {AGENT_CLIENT_ID: AGENT_CLIENT},
        pinned=_pinned(config.pinned_documents),
        requests_per_minute=config.requests_per_minute,
        max_clients=config.max_clients,
    )


def _client(config: OAuthClientConfig) -> Client:
    for uri in config.redirect_uris:
        if fault := redirect_fault(uri):
            raise UnusableClientError(f"auth.oauth.clients.{config.name}: {fault}: {uri}")
    secret_hash = _hash(config.secret)
    both = (AuthMethod.POST, AuthMethod.BASIC)
    return Client(
        id=config.name,
        kind=ClientKind.STATIC,
        name=config.title or config.name,
        redirect_uris=config.redirect_uris,
        auth_methods=(AuthMethod.NONE,) if secret_hash is None else both,
        secret_hash=secret_hash,
    )


def _hash(secret: Secret | None) -> bytes | None:
    return None if secret is None else hash_token(secret.reveal())


def _pinned(path: Path | None) -> Mapping[str, Client]:
    if path is None:
        return {}
    try:
        documents: Mapping[str, Any] = parse_object(path.read_bytes(), max_bytes=_MAX_FILE_BYTES)
        if not all(isinstance(one, dict) for one in documents.values()):
            raise UnusableClientError(f"{path}: not every member is a document")
        return read_pinned(documents)
    except OSError as error:
        raise UnusableClientError(f"{path} cannot be read: {error.strerror}") from error
    except (NotAnObjectError, OAuthError) as error:
        raise UnusableClientError(f"{path}: {error}") from error
