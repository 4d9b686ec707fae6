"""How people sign in to this relay: made from the configuration, started and stopped with it."""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource

from mcptunnel.auth.oidc.people import AllowList
from mcptunnel.config.auth import LOCAL, AuthConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.urls import is_plain_remote
from mcptunnel.net.http import Fetcher
from mcptunnel.net.pinning import anywhere
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.login.attempts import SignInsUnderWay
from mcptunnel.relay.login.browsers import CookieBrowsers, SessionLimits
from mcptunnel.relay.login.changes import SETUP_S, NotPossibleError
from mcptunnel.relay.login.directory import UserDirectory
from mcptunnel.relay.login.links import HeldLinks
from mcptunnel.relay.login.local_login import LocalLogin
from mcptunnel.relay.login.oidc import OidcProvider, OidcSettings
from mcptunnel.relay.login.passwords import PasswordHashes
from mcptunnel.relay.login.sign_ins import SignIns
from mcptunnel.relay.login.throttle import SignInThrottle
from mcptunnel.relay.oauth.limits import RequestLimits
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.login.surroundings import LocalWeb, ProviderWeb
from mcptunnel.relay.web.login.tree import put_local, put_provider
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.store.engine import Store
from mcptunnel.store.people.invitations import InvitationKind


class LoginService(MultiService):
    """Browser sessions, and the built-in login or a provider. Raises `net.trust.CaFileError`.

    `epoch_s` is the time of day, `secret` gives the relay's secret, `revoked` hears of what ended.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        store: Store,
        users: UserDirectory,
        *,
        epoch_s: Callable[[], float],
        secret: Callable[[], bytes],
        revoked: Callable[[Revoked], None],
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._store = store
        self._users = users
        self._epoch_s = epoch_s
        self._secret = secret
        self._revoked = revoked
        self._offering: Deferred[None] | None = None
        self._hashes: PasswordHashes | None = None
        self._provider: OidcProvider | None = None
        self._fetcher: Fetcher | None = None
        auth = config.auth
        self.browsers = CookieBrowsers(
            store,
            config.public_url,
            SessionLimits(idle_s=auth.session_idle_s, lifetime_s=auth.session_lifetime_s),
            secret=secret,
            random=secrets.token_bytes,
            epoch_s=epoch_s,
        )
        if auth.mode == LOCAL:
            self._hashes = PasswordHashes(reactor)
        else:
            self._fetcher = Fetcher(reactor, judge=anywhere, ca_file=auth.ca_file)
            self._provider = self._make_provider(self._fetcher)

    def put(
        self,
        root: Resource,
        guard: Guard,
        pages: Pages,
        addresses: ClientAddresses,
        limits: RequestLimits,
    ) -> None:
        """Put the endpoints at the root of the relay's resources."""
        shared: dict[str, Any] = {
            "guard": guard,
            "pages": pages,
            "addresses": addresses,
            "limits": limits,
            "browsers": self.browsers,
            "sign_ins": SignIns(self._store, self._epoch_s),
            "is_private": not is_plain_remote(self._config.public_url),
        }
        if self._provider is not None:
            put_provider(root, self._with_provider(self._provider, shared))
        if self._hashes is not None:
            put_local(root, self._with_passwords(self._hashes, shared))

    def startService(self) -> None:
        super().startService()
        if self._provider is not None:
            self._provider.start()
        if self._hashes is not None:
            self._hashes.start()
            self._offering = Deferred.fromCoroutine(self._offer_setup())

    async def stopService(self) -> None:
        """End what is under way."""
        await super().stopService()
        if self._offering is not None:
            await self._offering
        if self._provider is not None:
            self._provider.stop()
        if self._fetcher is not None:
            await self._fetcher.stop()
        if self._hashes is not None:
            self._hashes.stop()

    def _with_passwords(self, hashes: PasswordHashes, shared: dict[str, Any]) -> LocalWeb:
        login = LocalLogin(
            self._store,
            hashes,
            SignInThrottle(self._reactor.seconds),
            epoch_s=self._epoch_s,
            revoked=self._revoked,
        )
        return LocalWeb(login=login, links=HeldLinks(self._store, self._epoch_s), **shared)

    def _with_provider(self, provider: OidcProvider, shared: dict[str, Any]) -> ProviderWeb:
        under_way = SignInsUnderWay(
            self._store, secret=self._secret, random=secrets.token_bytes, epoch_s=self._epoch_s
        )
        name = urlsplit(self._config.auth.issuer or "").hostname or ""
        return ProviderWeb(provider=provider, provider_name=name, under_way=under_way, **shared)

    def _make_provider(self, fetcher: Fetcher) -> OidcProvider:
        return OidcProvider(
            oidc_settings(self._config.auth),
            redirect_uri=f"{self._config.public_url}/callback",
            fetcher=fetcher,
            reactor=self._reactor,
            random=secrets.token_bytes,
            epoch_s=self._epoch_s,
        )

    async def _offer_setup(self) -> None:
        """Make a link for the first user, if there is none yet, and tell it in the log alone."""
        try:
            made = await self._users.make_link(InvitationKind.SETUP, None)
        except NotPossibleError:
            return
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the relay runs on, and a command can make a link
            self._log.failure("no link for the first user could be made")
            return
        self._log.warn(
            "Nobody can sign in yet. Open this link within {minutes} minutes to become the first"
            " user: {link}",
            minutes=int(SETUP_S / 60),
            link=made.url,
        )


def oidc_settings(auth: AuthConfig) -> OidcSettings:
    """Return what the operator says of the provider."""
    secret = auth.client_secret
    return OidcSettings(
        issuer=auth.issuer or "",
        client_id=auth.client_id or "",
        client_secret=None if secret is None else secret.reveal(),
        scopes=auth.scopes,
        user_claim=auth.user_claim,
        allowed=AllowList(
            users=frozenset(auth.allowed_users),
            emails=frozenset(auth.allowed_emails),
            domains=frozenset(auth.allowed_domains),
            groups=frozenset(auth.allowed_groups),
            groups_claim=auth.groups_claim,
        ),
        extra_parameters=auth.extra_parameters,
        ca_file=auth.ca_file,
    )
