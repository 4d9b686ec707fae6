"""What the authorization server is told, once and for all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mcptunnel.auth.agent_client import AGENT_CLIENT, AGENT_CLIENT_ID
from mcptunnel.auth.clients import Client
from mcptunnel.auth.fetch_urls import HostPolicy
from mcptunnel.auth.grants import Lifetimes
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.metadata import Features

REQUEST_LIFETIME_S: Final = 600.0
"""A person has so long from `/authorize` to the consent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSettings:
    """`clients` are those of the configuration by id, `pinned` those whose documents are there by URL.

    `registration_token_hash` (`auth.tokens.hash_token`) is of the token that registering takes, if it
    takes one. The `max_…` are rows of the store: of device codes more than strangers can begin before
    theirs end (`relay.oauth.limits`).
    """

    issuer: Issuer
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    origin_wide: bool = True
    """Whether a client that names no resource gets a token for all endpoints: the hub is that, too."""
    registration: bool = True
    registration_token_hash: bytes | None = field(default=None, repr=False)
    client_documents: bool = True
    document_hosts: HostPolicy = field(default_factory=HostPolicy)
    device_grant: bool = True
    clients: Mapping[str, Client] = field(default_factory=lambda: {AGENT_CLIENT_ID: AGENT_CLIENT})
    pinned: Mapping[str, Client] = field(default_factory=dict)
    requests_per_minute: int = 120
    max_clients: int = 10_000
    max_requests: int = 10_000
    max_device_codes: int = 20_000

    @property
    def features(self) -> Features:
        """What the metadata say."""
        return Features(
            registration=self.registration,
            client_documents=self.client_documents,
            device_grant=self.device_grant,
        )
