"""Signing in as a part of the relay: a link at the start, or a provider."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.task import deferLater

from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.secret import Secret
from mcptunnel.relay.login.directory import UserDirectory
from mcptunnel.relay.login.service import LoginService, oidc_settings
from mcptunnel.store.engine import Store
from tests.conftest import Log

LINK = re.compile(r"https://relay\.example/setup\?token=mcpt_su_\w{43}")


@asynccontextmanager
async def running(folder: Path, reactor: Any, auth: AuthConfig) -> AsyncIterator[LoginService]:
    config = RelayConfig(public_url="https://relay.example", state_dir=folder, auth=auth)
    store = Store(folder / "relay.db", reactor)
    users = UserDirectory(
        store,
        config.public_url,
        is_local=auth.mode == "local",
        random=lambda count: b"r" * count,
        epoch_s=lambda: 1.0,
        revoked=lambda _revoked: None,
    )
    service = LoginService(
        reactor,
        config,
        store,
        users,
        epoch_s=lambda: 1.0,
        secret=lambda: b"s" * 32,
        revoked=lambda _revoked: None,
    )
    store.start()
    service.startService()
    try:
        yield service
    finally:
        await service.stopService()
        store.stop()


@pytest_twisted.ensureDeferred
async def test_the_first_start_tells_a_link(tmp_path: Path, running_reactor: Any, log: Log) -> None:
    async with running(tmp_path, running_reactor, AuthConfig(mode="local")):
        pass
    (line,) = [line for line in log.lines if "Nobody can sign in yet" in line]
    assert LINK.search(line)
    assert "within 15 minutes" in line


@pytest_twisted.ensureDeferred
async def test_a_provider_that_is_away_keeps_nothing_from_starting_and_stopping(
    tmp_path: Path, running_reactor: Any, log: Log
) -> None:
    auth = AuthConfig(mode="oidc", issuer="http://127.0.0.1:1", client_id="relay")
    async with running(tmp_path, running_reactor, auth):
        for _ in range(200):
            if "nobody can sign in for now" in log:
                break
            await deferLater(running_reactor, 0.01)
    assert "nobody can sign in for now" in log
    assert not LINK.search("\n".join(log.lines))


def test_the_provider_is_told_what_the_configuration_says() -> None:
    settings = oidc_settings(
        AuthConfig(
            mode="oidc",
            issuer="https://idp.example/",
            client_id="relay",
            client_secret=Secret("hush"),
            scopes=("openid",),
            user_claim="oid",
            allowed_users=("a",),
            allowed_emails=("b@c",),
            allowed_domains=("d",),
            allowed_groups=("e",),
            groups_claim="roles",
            extra_parameters={"hd": "d"},
        )
    )
    assert (settings.issuer, settings.client_id) == ("https://idp.example/", "relay")
    assert (settings.client_secret, settings.scopes) == ("hush", ("openid",))
    assert (settings.user_claim, dict(settings.extra_parameters)) == ("oid", {"hd": "d"})
    allowed = settings.allowed
    assert [set(one) for one in (allowed.users, allowed.emails, allowed.domains)] == [
        {"a"},
        {"b@c"},
        {"d"},
    ]
    assert (set(allowed.groups), allowed.groups_claim) == ({"e"}, "roles")
    assert "hush" not in repr(settings)
