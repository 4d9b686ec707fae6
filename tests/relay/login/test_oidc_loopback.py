"""The provider behind real TLS of a private authority, with the real fetcher in between."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.auth.oidc.people import AllowList
from mcptunnel.net.http import Fetched, Fetcher, Limits
from mcptunnel.net.pinning import anywhere
from mcptunnel.relay.login.people import Person
from tests.net.loopback import Authority, in_reactor
from tests.net.web_servers import Visit, WebServer, answer, ca_file
from tests.relay.coroutines import now
from tests.relay.login.fake_op import FakeOp, Visitor

# Twisted hands pyOpenSSL's own certificate objects to pyOpenSSL, which does not like that any more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LIMITS = Limits(max_bytes=1, timeout_s=1)


class Front:
    """An https server before a provider in memory."""

    def __init__(self, reactor: Any, port: int, folder: Path) -> None:
        authority = Authority()
        self._reactor = reactor
        self._ca_file = ca_file(authority, folder)
        self.op = FakeOp(f"https://op.example:{port}")
        self._server = WebServer(reactor, port, self._reply, authority=authority, name="op.example")
        self._fetchers: list[Fetcher] = []

    def fetcher(self, *, trusts: bool = True) -> Fetcher:
        async def here(_host: str) -> list[str]:
            return ["127.0.0.1"]

        ca = self._ca_file if trusts else None
        self._fetchers.append(Fetcher(self._reactor, judge=anywhere, resolve=here, ca_file=ca))
        return self._fetchers[-1]

    def _reply(self, visit: Visit) -> None:
        head, _, body = visit.request.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        url = self.op.issuer + path
        headers = dict(line.split(": ", 1) for line in lines)
        form = dict(parse_qsl(body, strict_parsing=True)) if method == "POST" else {}
        asked = (
            self.op.post(url, form, LIMITS, headers)
            if method == "POST"
            else self.op.get(url, LIMITS, headers)
        )
        visit.say(_raw(now(asked)))

    async def stop(self) -> None:
        for fetcher in self._fetchers:
            await fetcher.stop()
        await self._server.stop()


def _raw(got: Fetched) -> bytes:
    status = f"{got.status} {HTTPStatus(got.status).phrase}"
    return answer(got.body, f"Content-Type: {got.media_type}", status=status)


@pytest.fixture
def front(running_reactor: Any, free_port: int, tmp_path: Path) -> Iterator[Front]:
    made = Front(running_reactor, free_port, tmp_path)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))


async def sign_in(front: Front, fetcher: Fetcher, **settings: Any) -> Person:
    visitor = Visitor(front.op, fetcher=fetcher, **settings)
    attempt, url = await visitor.provider.begin()
    sent = front.op.visited(url)
    return await visitor.finished(attempt, code="c", state=sent["state"])


@in_reactor
async def test_a_provider_with_a_private_authority(front: Front) -> None:
    """Description, keys, tokens and userinfo, all through TLS that the file of authorities vouches for."""
    front.op.claims = {"sub": "alice"}
    front.op.userinfo = {"sub": "alice", "name": "Alice Ä", "groups": ["staff"]}
    allowed = AllowList(groups=("staff",))
    person = await sign_in(front, front.fetcher(), allowed=allowed)
    assert (person.principal.subject, person.display_name) == ("alice", "Alice Ä")
    paths = [url.removeprefix(front.op.issuer) for url in front.op.asked]
    assert paths == ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]


@in_reactor
async def test_without_its_authority(front: Front) -> None:
    """The operator reads that it is the certificate."""
    with pytest.raises(ProviderError, match="certificate is not one that this machine trusts"):
        await sign_in(front, front.fetcher(trusts=False))
    assert front.op.asked == []
