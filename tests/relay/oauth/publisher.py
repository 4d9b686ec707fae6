"""Clients that publish documents and keys, in memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.net.http import Fetched, FetchError, Limits
from mcptunnel.relay.oauth.fetching import DocumentFetcher, FetchPolicy

CLIENT_ID = "https://app.example.org/oauth/client.json"
JWKS_URI = "https://app.example.org/oauth/jwks.json"
OWN_HOST = "relay.example.net"
EPOCH_S = 1_800_000_000.0


def client_document(client_id: str = CLIENT_ID, **changes: Any) -> dict[str, Any]:
    """Return a document; None takes a member away."""
    members = {
        "client_id": client_id,
        "client_name": "An application",
        "redirect_uris": ["https://app.example.org/callback"],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


class Web:
    """The Internet, as `net.http.Fetches`: what is put into `pages` is there."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.pages: dict[str, Fetched] = {}
        self.asked: list[str] = []
        self.limits: list[Limits] = []
        self.held: Deferred[None] | None = None

    def put(self, url: str, members: object, **how: Any) -> None:
        """Publish JSON."""
        fields = {"status": 200, "media_type": "application/json", **how}
        self.pages[url] = Fetched(body=json.dumps(members).encode(), **fields)

    def epoch_s(self) -> float:
        return EPOCH_S + self.clock.seconds()

    def fetcher(self, **policy: Any) -> DocumentFetcher:
        wanted = FetchPolicy(**{"own_host": OWN_HOST, **policy})
        return DocumentFetcher(self, wanted, self.clock.seconds)

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        assert not headers
        self.asked.append(url)
        self.limits.append(limits)
        if self.held is not None:
            await self.held
        if url not in self.pages:
            raise FetchError("app.example.org:443: nothing listens there")
        return self.pages[url]

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        raise AssertionError("nothing is posted to clients")


@dataclass(frozen=True, slots=True)
class Known:
    """What the cache below has of a URL."""

    document: Mapping[str, Any] | None
    fetched_s: float
    expires_s: float


class MemoryCache:
    """A cache (`relay.oauth.documents.DocumentCache`)."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}

    async def find(self, url: str, now_s: float) -> Known | None:
        found = self.known.get(url)
        return found if found is not None and now_s < found.expires_s else None

    async def stale(self, url: str, fetched_since_s: float) -> Known | None:
        found = self.known.get(url)
        return found if found is not None and found.fetched_s >= fetched_since_s else None

    async def put(
        self, url: str, document: Mapping[str, Any] | None, *, fetched_s: float, expires_s: float
    ) -> None:
        assert fetched_s < expires_s
        self.known[url] = Known(document, fetched_s, expires_s)
