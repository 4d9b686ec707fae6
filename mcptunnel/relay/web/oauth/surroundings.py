"""What all endpoints of the authorization server share."""

from collections.abc import Callable
from dataclasses import dataclass

from mcptunnel.relay.oauth.limits import GuessedCodes, RequestLimits
from mcptunnel.relay.oauth.server import AuthorizationServer
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.browser import Browsers
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.pages.render import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthWeb:
    """The server itself, and what is between it and the web. Of `now_s` only differences matter."""

    server: AuthorizationServer
    guard: Guard
    pages: Pages
    browsers: Browsers
    addresses: ClientAddresses
    limits: RequestLimits
    guessed: GuessedCodes
    now_s: Callable[[], float]
