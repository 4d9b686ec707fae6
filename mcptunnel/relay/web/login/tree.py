"""Which endpoint of signing in is where."""

from twisted.web.resource import Resource

from mcptunnel.relay.web.login.joining import Invite, Reset, SetUp
from mcptunnel.relay.web.login.local import LocalSignIn
from mcptunnel.relay.web.login.logout import SignOut
from mcptunnel.relay.web.login.provider import Callback, ProviderSignIn
from mcptunnel.relay.web.login.surroundings import LocalWeb, ProviderWeb


def put_local(root: Resource, web: LocalWeb) -> None:
    """Put the built-in login at the root."""
    root.putChild(b"login", LocalSignIn(web))
    root.putChild(b"logout", SignOut(web))
    root.putChild(b"setup", SetUp(web))
    root.putChild(b"invite", Invite(web))
    root.putChild(b"reset", Reset(web))


def put_provider(root: Resource, web: ProviderWeb) -> None:
    """Put the sign-in at a provider at the root."""
    root.putChild(b"login", ProviderSignIn(web))
    root.putChild(b"callback", Callback(web))
    root.putChild(b"logout", SignOut(web))
