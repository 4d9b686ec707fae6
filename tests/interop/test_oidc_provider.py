"""People sign in at the npm package `oidc-provider`, over HTTP, with the relay's own fetcher."""

import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.oidc.people import AllowList
from mcptunnel.auth.oidc.sign_in import pack, unpack
from mcptunnel.auth.parameters import Parameters, parse_parameters
from mcptunnel.model import Principal
from mcptunnel.net.http import Fetcher
from mcptunnel.net.pinning import anywhere
from mcptunnel.relay.login.oidc import OidcProvider, OidcSettings
from mcptunnel.relay.login.people import Person
from tests.interop import environments
from tests.interop.oidc_provider.provider import (
    CLIENT_ID,
    REDIRECT_URI,
    SECRET,
    Browser,
    Op,
    RunningOp,
)
from tests.interop.processes import free_port

_Test = TypeVar("_Test", bound=Callable[..., Awaitable[None]])
in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred

SCOPES = ("openid", "profile", "email", "groups")
FULL_ID_TOKENS = {"conformIdTokenClaims": False}
"""With name, address and groups, as Google, Entra and Auth0 make them; else the userinfo endpoint has them."""


class Relay:
    """The relay's part, and the processes beside it."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self._reactor = reactor
        self._folder = folder
        self._stack = ExitStack()
        self._made: list[tuple[OidcProvider, Fetcher]] = []

    def run(self, **how: Any) -> RunningOp:
        """Start a provider."""
        op = Op(**{"port": free_port(), **how})
        return self._stack.enter_context(RunningOp(op, self._folder))

    def provider(self, running: RunningOp, **settings: Any) -> OidcProvider:
        """Return the relay's side of it."""
        fetcher = Fetcher(self._reactor, judge=anywhere)
        wanted = {
            "issuer": running.op.issuer,
            "client_id": CLIENT_ID,
            "client_secret": None if running.op.auth_method == "none" else SECRET,
            "scopes": SCOPES,
            **settings,
        }
        provider = OidcProvider(
            OidcSettings(**wanted),
            redirect_uri=REDIRECT_URI,
            fetcher=fetcher,
            reactor=self._reactor,
            random=secrets.token_bytes,
            epoch_s=time.time,
        )
        self._made.append((provider, fetcher))
        return provider

    async def stop(self) -> None:
        for provider, fetcher in self._made:
            provider.stop()
            await fetcher.stop()
        self._stack.close()


@pytest.fixture
def relay(running_reactor: Any, tmp_path: Path) -> Iterator[Relay]:
    try:
        environments.provider_packages()
    except environments.MissingToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    made = Relay(running_reactor, tmp_path)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))


def _parameters(came: Mapping[str, str]) -> Parameters:
    return parse_parameters(urlencode(came).encode())


async def sign_in(
    provider: OidcProvider, user: str, browser: Browser | None = None, **changes: str
) -> Person:
    """Go there as a user, and come back, with some parameters changed."""
    attempt, url = await provider.begin()
    came = await deferToThread((browser or Browser()).go, url, user=user)
    return await provider.finish(unpack(pack(attempt)), _parameters({**came, **changes}))


@pytest.mark.parametrize("more", [{}, FULL_ID_TOKENS], ids=["userinfo", "id_token"])
@in_reactor
async def test_several_people(relay: Relay, more: dict[str, Any]) -> None:
    """Each is who they are, whether their claims are in the ID token or at the userinfo endpoint."""
    running = relay.run(more=more)
    provider = relay.provider(running)
    issuer = running.op.issuer
    assert await sign_in(provider, "alice") == Person(
        Principal(issuer, "alice"), "Alice Ä", "alice@example.org"
    )
    assert await sign_in(provider, "bob") == Person(
        Principal(issuer, "bob"), "Bob B", "bob@example.org"
    )


@pytest.mark.parametrize(
    ("auth_method", "algorithm"),
    [
        ("client_secret_basic", "ES256"),
        ("client_secret_post", "PS256"),
        ("none", "RS256"),
        ("client_secret_basic", "EdDSA"),
    ],
)
@in_reactor
async def test_clients_and_algorithms(relay: Relay, auth_method: str, algorithm: str) -> None:
    """A strict provider takes each proof of the relay's, and its tokens are believed."""
    only = {
        "clientAuthMethods": [auth_method],
        "enabledJWA": {"idTokenSigningAlgValues": [algorithm]},
    }
    running = relay.run(auth_method=auth_method, algorithm=algorithm, more=only)
    person = await sign_in(relay.provider(running), "alice")
    assert person.principal.subject == "alice"


@in_reactor
async def test_denial(relay: Relay) -> None:
    """A person who says no at the provider is told so; the next attempt works."""
    provider = relay.provider(relay.run())
    attempt, url = await provider.begin()
    came = await deferToThread(Browser().go, url, deny="1")
    with pytest.raises(SignInError, match="The person said no"):
        await provider.finish(attempt, _parameters(came))
    assert (await sign_in(provider, "alice")).principal.subject == "alice"


@in_reactor
async def test_key_rotation(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that comes back with another key is believed, once its keys may be fetched again."""
    first = relay.run(keys={"k1": 1})
    provider = relay.provider(first)
    await sign_in(provider, "alice")
    first.__exit__()
    with pytest.raises(ProviderError, match="cannot be reached"):
        await sign_in_with_known_code(provider)
    relay.run(port=first.op.port, keys={"k2": 2})
    with pytest.raises(SignInError, match="cannot be trusted"):
        await sign_in(provider, "alice")
    monkeypatch.setattr("mcptunnel.relay.login.provider_documents.KEYS_REFETCH_S", 0.0)
    assert (await sign_in(provider, "alice")).principal.subject == "alice"


async def sign_in_with_known_code(provider: OidcProvider) -> Person:
    """Come back from a provider that is down since."""
    attempt, _ = await provider.begin()
    came = {"code": "x", "state": attempt.state, "iss": attempt.issuer}
    return await provider.finish(attempt, _parameters(came))


@in_reactor
async def test_an_unverified_address_of_somebody_else(relay: Relay) -> None:
    """Mallory has Alice's address, unverified: neither does it let her in, nor is she Alice."""
    running = relay.run(more=FULL_ID_TOKENS)
    by_address = relay.provider(running, allowed=AllowList(emails=("alice@example.org",)))
    assert (await sign_in(by_address, "alice")).email == "alice@example.org"
    with pytest.raises(SignInError):
        await sign_in(by_address, "mallory")
    with pytest.raises(SignInError, match="not verified"):
        await sign_in(relay.provider(running, user_claim="email"), "mallory")
    person = await sign_in(relay.provider(running), "mallory")
    assert (person.principal.subject, person.email) == ("mallory", None)


@in_reactor
async def test_groups(relay: Relay) -> None:
    """Of the userinfo endpoint, since this provider has them there."""
    provider = relay.provider(relay.run(), allowed=AllowList(groups=("admins",)))
    assert (await sign_in(provider, "alice")).principal.subject == "alice"
    with pytest.raises(SignInError):
        await sign_in(provider, "bob")


@in_reactor
async def test_wrong_ways_back(relay: Relay) -> None:
    """Another state, another issuer, a code twice: the provider is real, the browser is not to be trusted."""
    provider = relay.provider(relay.run())
    with pytest.raises(SignInError, match="did not begin"):
        await sign_in(provider, "alice", state="another")
    with pytest.raises(SignInError, match="another provider"):
        await sign_in(provider, "alice", iss="https://evil.example")
    with pytest.raises(SignInError, match="took too long, or came twice"):
        await sign_in(provider, "alice", code="another")


@in_reactor
async def test_the_code_of_another_sign_in(relay: Relay) -> None:
    """A code that somebody else's browser got is refused: it has another PKCE challenge."""
    provider = relay.provider(relay.run())
    _, url = await provider.begin()
    stolen = await deferToThread(Browser().go, url, user="bob")
    with pytest.raises(SignInError):
        await sign_in(provider, "alice", code=stolen["code"])


@in_reactor
async def test_again(relay: Relay) -> None:
    """Who is signed in at the provider comes back at once, unless they have to prove it again."""
    provider = relay.provider(relay.run())
    browser = Browser()
    await sign_in(provider, "alice", browser)
    assert browser.pages == ["login", "consent"]
    assert (await sign_in(provider, "", browser)).principal.subject == "alice"
    assert browser.pages == ["login", "consent"]
    attempt, url = await provider.begin(again=True)
    came = await deferToThread(browser.go, url, user="alice")
    assert browser.pages == ["login", "consent", "login"]
    assert (await provider.finish(attempt, _parameters(came))).principal.subject == "alice"


@pytest.mark.parametrize("path", ["/realms/main", "/application/o/mcptunnel/"])
@in_reactor
async def test_issuers_with_a_path(relay: Relay, path: str) -> None:
    """As of Keycloak, and of Authentik with its slash at the end."""
    running = relay.run(path=path)
    person = await sign_in(relay.provider(running), "alice")
    assert person.principal == Principal(running.op.issuer, "alice")


@in_reactor
async def test_a_wrong_secret(relay: Relay) -> None:
    """The operator is told; the person cannot help it."""
    provider = relay.provider(relay.run(), client_secret="wrong")
    with pytest.raises(ProviderError, match="client_id or its secret"):
        await sign_in(provider, "alice")
