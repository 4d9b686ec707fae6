"""What all endpoints of signing in share."""

from dataclasses import dataclass

from mcptunnel.relay.login.attempts import SignInsUnderWay
from mcptunnel.relay.login.links import HeldLinks
from mcptunnel.relay.login.local_login import LocalLogin
from mcptunnel.relay.login.oidc import OidcProvider
from mcptunnel.relay.login.sign_ins import SignIns
from mcptunnel.relay.oauth.limits import RequestLimits
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.browser import Browsers
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.pages.render import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginWeb:
    """What is between signing in and the web. `is_private` tells that nobody can read along on the way."""

    guard: Guard
    pages: Pages
    addresses: ClientAddresses
    limits: RequestLimits
    browsers: Browsers
    sign_ins: SignIns
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWeb(LoginWeb):
    """The same, where people have passwords of this relay."""

    login: LocalLogin
    links: HeldLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderWeb(LoginWeb):
    """The same, where people sign in at a provider; `provider_name` is its host."""

    provider: OidcProvider
    provider_name: str
    under_way: SignInsUnderWay
