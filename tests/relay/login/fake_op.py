"""A provider in memory that says exactly what a test has it say, and whoever signs in at it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.auth.oidc.sign_in import Attempt
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import challenge_of
from mcptunnel.net.http import Fetched, FetchError, Fetches, Limits
from mcptunnel.relay.login.oidc import OidcProvider, OidcSettings
from mcptunnel.relay.login.people import Person
from tests.auth.oidc.op import CLIENT, OP, document
from tests.auth.signing import key_set, public_jwk, sign
from tests.relay.coroutines import now

NOW_S = 1_800_000_000.0
REDIRECT_URI = "https://relay.example/callback"
SECRET = "the:secret/ü"


class FakeOp:
    """The provider's web site, as `net.http.Fetches`. Every part can be replaced before it is asked."""

    def __init__(self, issuer: str = OP, **changes: Any) -> None:
        base = issuer.rstrip("/")
        self.issuer = issuer
        self.document = document(issuer, userinfo_endpoint=f"{base}/userinfo", **changes)
        self.where = f"{base}/.well-known/openid-configuration"
        self.keys = key_set(public_jwk("ES256", 0, kid="k0"))
        self.claims: dict[str, Any] = {"sub": "alice", "name": "Alice A"}
        self.token_claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.algorithm, self.key, self.header = "ES256", 0, {"kid": "k0"}
        self.id_token: str | None = None
        self.token_answer: tuple[int, dict[str, Any]] | None = None
        self.down: set[str] = set()
        self.held: dict[str, Deferred[None]] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self._sent_with: dict[str, str] = {}

    def count(self, ending: str) -> int:
        """Return how often URLs with this end were asked for."""
        return sum(url.endswith(ending) for url in self.asked)

    def visited(self, url: str) -> dict[str, str]:
        """Note what a browser came with; return it."""
        parts = urlsplit(url)
        assert (
            f"{parts.scheme}://{parts.netloc}{parts.path}"
            == (self.document["authorization_endpoint"].partition("?")[0])
        )
        self._sent_with = dict(parse_qsl(parts.query, strict_parsing=True))
        return self._sent_with

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        await self._asked(url)
        if url == self.where:
            return _json(self.document)
        if url == self.document.get("jwks_uri"):
            return _json(self.keys)
        if url == self.document.get("userinfo_endpoint") and self.userinfo is not None:
            assert (headers or {})["Authorization"] == "Bearer opaque"
            return _json(self.userinfo)
        return Fetched(status=404, media_type="text/html", body=b"<p>None")

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        await self._asked(url)
        assert url == self.document["token_endpoint"]
        self.forms.append(dict(form))
        self.headers.append(headers or {})
        if self.token_answer is not None:
            return _json(self.token_answer[1], self.token_answer[0])
        assert challenge_of(form["code_verifier"]) == self._sent_with["code_challenge"]
        assert form["redirect_uri"] == self._sent_with["redirect_uri"] == REDIRECT_URI
        made = {"access_token": "opaque", "token_type": "Bearer", "id_token": self._id_token()}
        return _json(made)

    def _id_token(self) -> str:
        if self.id_token is not None:
            return self.id_token
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": NOW_S,
            "exp": NOW_S + 300,
            "nonce": self._sent_with.get("nonce"),
            **self.claims,
            **self.token_claims,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return sign(present, self.algorithm, self.key, **self.header)

    async def _asked(self, url: str) -> None:
        self.asked.append(url)
        if url in self.held:
            await self.held[url]
        if url in self.down:
            raise FetchError("op.example:443: nothing listens there")


def _json(members: object, status: int = 200) -> Fetched:
    return Fetched(status=status, media_type="application/json", body=json.dumps(members).encode())


class Visitor:
    """A browser between the relay and a provider."""

    def __init__(self, op: FakeOp, *, fetcher: Fetches | None = None, **settings: Any) -> None:
        self.op = op
        self.clock = Clock()
        self.clock.advance(1000)
        self.skew_s = 0.0
        self.provider = OidcProvider(
            OidcSettings(
                **{"issuer": op.issuer, "client_id": CLIENT, "client_secret": SECRET, **settings}
            ),
            redirect_uri=REDIRECT_URI,
            fetcher=fetcher or op,
            reactor=self.clock,
            random=bytes,
            epoch_s=lambda: NOW_S + self.skew_s,
        )

    def begin(self, **how: Any) -> tuple[Attempt, dict[str, str]]:
        """Go to the provider; return the attempt, and what the browser brought there."""
        attempt, url = now(self.provider.begin(**how))
        return attempt, self.op.visited(url)

    def finish(self, attempt: Attempt | None, **parameters: str | None) -> Person:
        """Come back with these parameters."""
        return now(self.finished(attempt, **parameters))

    async def finished(self, attempt: Attempt | None, **parameters: str | None) -> Person:
        """Come back, to a relay that fetches from elsewhere."""
        came = {name: value for name, value in parameters.items() if value is not None}
        return await self.provider.finish(attempt, Parameters(came))

    def sign_in(self, **parameters: str | None) -> Person:
        """Go there and come back."""
        attempt, sent = self.begin()
        return self.finish(attempt, **{"code": "c0de", "state": sent["state"], **parameters})
