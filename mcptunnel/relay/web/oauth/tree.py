"""Which endpoint of the authorization server is where."""

from typing import Final

from twisted.web.resource import Resource

from mcptunnel.auth.errors import NO_SIGN_IN
from mcptunnel.config.auth import KEYS, NONE
from mcptunnel.relay.web.not_found import NotFound
from mcptunnel.relay.web.oauth.authorize import Authorize, Consent
from mcptunnel.relay.web.oauth.device import Device
from mcptunnel.relay.web.oauth.discovery import WellKnown
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.oauth.tokens import DeviceAuthorization, Register, Revoke, Token

_HINTS: Final = {
    KEYS: "This relay takes API keys alone: send one as a bearer token.",
    NONE: "Nobody signs in at this relay: it takes requests without a token, too.",
}

_ALL: Final = (
    b".well-known",
    b"authorize",
    b"consent",
    b"token",
    b"register",
    b"revoke",
    b"device_authorization",
    b"device",
    b"login",
    b"callback",
    b"logout",
    b"setup",
    b"invite",
    b"reset",
)


def put_oauth(root: Resource, web: OAuthWeb) -> None:
    """Put the authorization server at the root."""
    settings = web.server.settings
    root.putChild(b".well-known", WellKnown(web))
    root.putChild(b"authorize", Authorize(web))
    root.putChild(b"consent", Consent(web))
    root.putChild(b"token", Token(web))
    root.putChild(b"revoke", Revoke(web))
    if settings.registration:
        root.putChild(b"register", Register(web))
    if settings.device_grant:
        root.putChild(b"device_authorization", DeviceAuthorization(web))
        root.putChild(b"device", Device(web))


def put_hints(root: Resource, mode: str) -> None:
    """Say, where an authorization server would be, that there is none, and what to do instead.

    `mode` is that of the relay's `auth`: one without a sign-in.
    """
    for name in _ALL:
        root.putChild(name, NotFound(_HINTS[mode], NO_SIGN_IN))
