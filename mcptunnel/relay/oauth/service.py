"""The authorization server as a part of the relay: made from the configuration, started and stopped with it."""

import secrets
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.web.resource import Resource

from mcptunnel.auth.addresses import may_fetch_all
from mcptunnel.auth.urls import split_url
from mcptunnel.config.oauth import OAuthConfig
from mcptunnel.net.http import Fetcher
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.client_keys import ClientKeySets
from mcptunnel.relay.oauth.configured import oauth_settings
from mcptunnel.relay.oauth.documents import ClientDocumentsFetched
from mcptunnel.relay.oauth.fetching import DocumentFetcher, FetchPolicy
from mcptunnel.relay.oauth.kept_documents import KeptDocuments
from mcptunnel.relay.oauth.limits import GuessedCodes, RequestLimits
from mcptunnel.relay.oauth.purging import Purging
from mcptunnel.relay.oauth.server import AuthorizationServer
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.browser import Browsers
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.oauth.tree import put_oauth
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.realm import Realm
from mcptunnel.store.engine import Store


class OAuthService(MultiService):
    """One relay's authorization server with its endpoints. Raises UnusableClientError.

    `epoch_s` is the time of day, `secret` gives the relay's secret, `revoked` hears of what ended.
    """

    def __init__(
        self,
        reactor: Any,
        config: OAuthConfig,
        public_url: str,
        store: Store,
        *,
        epoch_s: Callable[[], float],
        secret: Callable[[], bytes],
        revoked: Callable[[Revoked], None],
    ) -> None:
        super().__init__()
        self._now_s = reactor.seconds
        settings = oauth_settings(config, public_url)
        around = Surroundings(
            store=store,
            settings=settings,
            epoch_s=epoch_s,
            random=secrets.token_bytes,
            secret=secret,
            revoked=revoked,
        )
        self._fetcher = Fetcher(reactor, judge=may_fetch_all)
        documents = self._documents(store, settings, epoch_s)
        self.server = AuthorizationServer(around, documents, self._keys)
        self.realm = Realm(settings.issuer)
        Purging(store, reactor, epoch_s).setServiceParent(self)

    def put(
        self,
        root: Resource,
        guard: Guard,
        pages: Pages,
        browsers: Browsers,
        addresses: ClientAddresses,
        limits: RequestLimits,
    ) -> None:
        """Put the endpoints at the root of the relay's resources."""
        web = OAuthWeb(
            server=self.server,
            guard=guard,
            pages=pages,
            browsers=browsers,
            addresses=addresses,
            limits=limits,
            guessed=GuessedCodes(self._now_s),
            now_s=self._now_s,
        )
        put_oauth(root, web)

    async def stopService(self) -> None:
        """Stop, and end what is being fetched."""
        self._documents_fetched.stop()
        self._keys.stop()
        await self._fetcher.stop()
        await super().stopService()

    def _documents(
        self, store: Store, settings: OAuthSettings, epoch_s: Callable[[], float]
    ) -> ClientDocumentsFetched:
        url = split_url(settings.issuer)
        policy = FetchPolicy(
            own_host=(url.host or "") if url else "", hosts=settings.document_hosts
        )
        fetcher = DocumentFetcher(self._fetcher, policy, self._now_s)
        self._keys = ClientKeySets(fetcher, self._now_s)
        self._documents_fetched = ClientDocumentsFetched(
            fetcher, KeptDocuments(store), pinned=settings.pinned, epoch_s=epoch_s
        )
        return self._documents_fetched
