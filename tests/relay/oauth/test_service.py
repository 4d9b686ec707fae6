"""The authorization server as a part of the relay: started, stopped, and put at its root."""

from pathlib import Path
from typing import Any

import pytest
from twisted.web.resource import Resource

from mcptunnel.config.oauth import OAuthConfig
from mcptunnel.relay.login.browsers import CookieBrowsers, SessionLimits
from mcptunnel.relay.oauth.configured import UnusableClientError
from mcptunnel.relay.oauth.limits import RequestLimits
from mcptunnel.relay.oauth.service import OAuthService
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.pages.render import Pages
from tests.relay.oauth import in_reactor
from tests.relay.oauth.parts import ISSUER
from tests.relay.store_at_once import StoreAtOnce


def make(store: StoreAtOnce, reactor: Any, config: OAuthConfig | None = None) -> OAuthService:
    return OAuthService(
        reactor,
        config or OAuthConfig(),
        ISSUER,
        store,
        epoch_s=reactor.seconds,
        secret=lambda: b"s" * 32,
        revoked=lambda _revoked: None,
    )


@in_reactor
async def test_it_starts_and_leaves_nothing_behind(
    store: StoreAtOnce, running_reactor: Any
) -> None:
    before = len(running_reactor.getDelayedCalls())
    service = make(store, running_reactor)
    service.startService()
    assert len(running_reactor.getDelayedCalls()) > before
    await service.stopService()
    assert len(running_reactor.getDelayedCalls()) == before


@in_reactor
async def test_its_endpoints_are_at_the_root(store: StoreAtOnce, running_reactor: Any) -> None:
    service = make(store, running_reactor)
    root = Resource()
    browsers = CookieBrowsers(
        store,
        ISSUER,
        SessionLimits(),
        secret=lambda: b"s" * 32,
        random=bytes,
        epoch_s=running_reactor.seconds,
    )
    guard, limits = Guard.of(ISSUER, (), ()), RequestLimits(120, running_reactor.seconds)
    service.put(root, guard, Pages(ISSUER), browsers, ClientAddresses(), limits)
    assert set(root.listStaticNames()) >= {
        b".well-known",
        b"authorize",
        b"consent",
        b"token",
        b"register",
        b"revoke",
        b"device_authorization",
        b"device",
    }
    await service.stopService()


@in_reactor
async def test_what_cannot_be_used_stops_the_start(
    store: StoreAtOnce, running_reactor: Any, tmp_path: Path
) -> None:
    with pytest.raises(UnusableClientError):
        make(store, running_reactor, OAuthConfig(pinned_documents=tmp_path / "x"))
