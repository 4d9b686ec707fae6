"""A program's sign-in: from this user's files, with the relay asked over the network."""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThreadPool

from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.bearer import SignedIn
from mcptunnel.agent.sign_in.kept import KeptGrant
from mcptunnel.agent.sign_in.renewal import Renewal
from mcptunnel.net.http import Fetcher
from mcptunnel.net.pinning import anywhere


def signed_in(reactor: Any, relay: str) -> SignedIn:
    """Return the sign-in at the relay with this origin; the system's authorities vouch for it."""
    fetcher = Fetcher(reactor, judge=anywhere)

    async def in_thread(work: Callable[[], None]) -> None:
        await deferToThreadPool(reactor, reactor.getThreadPool(), work)

    renewal = Renewal(
        reactor,
        KeptGrant(relay),
        AuthorizationServer(relay, fetcher),
        epoch_s=time.time,
        in_thread=in_thread,
    )
    return SignedIn(reactor, relay, renewal, fetcher, epoch_s=time.time)
