"""A relay with an authorization server, on memory transports and a test clock, with clients and people."""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from twisted.web.resource import Resource

from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import parse_parameters
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.credentials import BearerCheck
from mcptunnel.relay.login.browsers import CookieBrowsers, SessionLimits
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.oauth.limits import GuessedCodes, RequestLimits
from mcptunnel.relay.oauth.server import AuthorizationServer
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.later import Send, answer_later
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.oauth.tree import put_oauth
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.people import redirect
from mcptunnel.relay.web.realm import Realm
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.tree import guard_of
from mcptunnel.store.audit import AuditEvent, AuditLog
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.site import HOST, HttpAnswer, HttpClient, MemorySite, head_of

ISSUER = Issuer("http://relay.test")
CALLBACK = "https://app.example/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
FORM = "application/x-www-form-urlencoded"
SECRET = b"the secret of a relay in memory."

_ALLOWED_FIELDS = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')


class SignIn(Resource):
    """Stands for all ways to sign in: whoever comes with `user` in the URL is that user."""

    isLeaf = True

    def __init__(self, browsers: CookieBrowsers) -> None:
        super().__init__()
        self._browsers = browsers

    def render(self, request: RelayRequest) -> int:
        return answer_later(request, self._answer(request), lambda: redirect("/failed"))

    async def _answer(self, request: RelayRequest) -> Send:
        values = parse_parameters(request.uri.partition(b"?")[2]).values
        browser = await self._browsers.ensure(request)
        if not request.requestHeaders.hasHeader(b"cookie"):
            return redirect(f"/login?{urlencode(values)}")
        principal = Principal(LOCAL_ISSUER, values["user"])
        person = Person(principal, values["user"].title(), None)
        await self._browsers.signed_in(request, browser, person)
        return redirect(values.get("next", "/"))


@dataclass
class OAuthSite(MemorySite):
    """`settings` and `trusted` may be set before anything is asked for."""

    store: StoreAtOnce = field(kw_only=True)
    settings: OAuthSettings = field(default_factory=lambda: OAuthSettings(issuer=ISSUER))
    trusted: tuple[str, ...] = ()
    sessions_limits: SessionLimits = field(default_factory=SessionLimits)

    def __post_init__(self) -> None:
        self.realm = Realm(self.settings.issuer)
        self._count = 0
        self.all_revoked: list[Revoked] = []
        super().__post_init__()
        self.joined.in_use.grants = self.server.bearer
        self.browsers = CookieBrowsers(
            self.store,
            ISSUER,
            self.sessions_limits,
            secret=lambda: SECRET,
            random=self.random,
            epoch_s=self.joined.epoch_s,
        )
        web = OAuthWeb(
            server=self.server,
            guard=guard_of(self.config),
            pages=Pages(ISSUER),
            browsers=self.browsers,
            addresses=ClientAddresses(self.trusted),
            limits=RequestLimits(self.settings.requests_per_minute, self.joined.clock.seconds),
            guessed=GuessedCodes(self.joined.clock.seconds),
            now_s=self.joined.clock.seconds,
        )
        put_oauth(self.root, web)
        self.root.putChild(b"login", SignIn(self.browsers))

    @cached_property
    def server(self) -> AuthorizationServer:
        return AuthorizationServer(
            Surroundings(
                store=self.store,
                settings=self.settings,
                epoch_s=self.joined.epoch_s,
                random=self.random,
                secret=lambda: SECRET,
                revoked=self.revoked,
            )
        )

    def random(self, count: int) -> bytes:
        self._count += 1
        return hashlib.sha512(str(self._count).encode()).digest()[:count]

    def more_checks(self) -> Iterable[BearerCheck]:
        return (self.server.bearer,)

    def revoked(self, revoked: Revoked) -> None:
        self.all_revoked.append(revoked)
        super().revoked(revoked)

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request; return the complete answer."""
        wanted = {"host": HOST, "content-length": str(len(body)), **(headers or {})}
        connection = self.connection()
        connection.send(head_of(method, target, wanted) + body)
        assert connection.answer.is_complete, connection.wire.value()
        return connection.answer

    def post_form(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        return self.send(
            "POST", path, urlencode(form).encode(), {"content-type": FORM, **(headers or {})}
        )

    def register(self, **metadata: Any) -> HttpAnswer:
        wanted = {"redirect_uris": [CALLBACK], "client_name": "App", **metadata}
        return self.send(
            "POST",
            "/register",
            json.dumps(wanted).encode(),
            {"content-type": "application/json"},
        )

    def client_id(self, **metadata: Any) -> str:
        answer = self.register(**metadata)
        assert answer.status == 201, answer.body
        client_id: str = answer.json["client_id"]
        return client_id

    def events(self) -> list[AuditEvent]:
        """Return the audit log, oldest first."""
        page = self.store.database.read(lambda connection: AuditLog(connection).page(limit=1000))
        return [logged.event for logged in reversed(page)]

    def mcp(self, access_token: str, path: str = "/mcp") -> HttpAnswer:
        """Call an MCP endpoint with a token."""
        return (
            HttpClient(self, access_token)
            .at(
                path,
                "POST",
                b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":'
                b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
                b'"io.modelcontextprotocol/clientCapabilities":{}}}}',
                mcp_protocol_version="2026-07-28",
                mcp_method="tools/list",
            )
            .answer
        )

    def wait_s(self, seconds: float) -> None:
        self.joined.wait_s(seconds)


@dataclass
class PersonAtBrowser:
    """A browser with its cookies, and whoever sits at it."""

    site: OAuthSite
    user: str = "alice"
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        wanted = dict(headers or {})
        if self.cookies:
            wanted["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.site.send(method, target, body, wanted)
        cookie = answer.headers.get("set-cookie")
        if cookie:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        return self.send("GET", target, headers=headers)

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> HttpAnswer:
        fields = {
            "content-type": FORM,
            "origin": ISSUER,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.send("POST", path, urlencode(form).encode(), fields)

    def sign_in(self) -> None:
        """Sign in, out of the blue."""
        self.follow(f"{ISSUER}/login?user={self.user}")

    def follow(self, location: str) -> HttpAnswer:
        """Go where an answer sends the browser, as long as that is the relay; sign in if asked."""
        while True:
            target = location.removeprefix(ISSUER)
            if target.startswith("/login?") and "user=" not in target:
                target += f"&user={self.user}"
            answer = self.get(target)
            if answer.status != 303 or not is_own(answer.headers["location"]):
                return answer
            location = answer.headers["location"]

    def authorize(self, **parameters: str) -> HttpAnswer:
        """Open what a client sent the browser to, and sign in if asked."""
        return self.follow(authorize_path(**parameters))

    def answer_consent(self, page: HttpAnswer, decision: str = "allow") -> HttpAnswer:
        """Post the form of a consent page."""
        return self.post("/consent", form_of(page) | {"decision": decision})

    def grant(self, client_id: str, **parameters: str) -> str:
        """Agree to what a client asks for, unless that is remembered; return the code."""
        answer = self.authorize(client_id=client_id, **parameters)
        if answer.status == 200:
            answer = self.answer_consent(answer)
        assert answer.status == 303, answer.body
        return parameters_of(answer)["code"]


def is_own(location: str) -> bool:
    return location.startswith(("/", ISSUER))


def authorize_path(**parameters: str) -> str:
    """Return the path of a good request, with other or more parameters; "" leaves one out."""
    wanted = {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "state of the client",
        **parameters,
    }
    return f"/authorize?{urlencode({name: value for name, value in wanted.items() if value})}"


def form_of(page: HttpAnswer) -> dict[str, str]:
    """Return the hidden fields of a page's forms."""
    fields = _ALLOWED_FIELDS.findall(page.body.decode())
    return {name: unescape(value) for name, value in fields if name != "next"}


def parameters_of(answer: HttpAnswer) -> dict[str, str]:
    """Return the parameters of a redirect."""
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def tokens(site: OAuthSite, client_id: str, code: str, **more: str) -> HttpAnswer:
    """Exchange a code."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
        **more,
    }
    return site.post_form("/token", {name: value for name, value in form.items() if value})


def refreshed(site: OAuthSite, client_id: str, refresh_token: str, **more: str) -> HttpAnswer:
    """Refresh."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    return site.post_form("/token", form | more)


def granted(site: OAuthSite, user: str = "alice", **parameters: str) -> tuple[str, dict[str, Any]]:
    """Register a client and let a user agree; return its id and the token answer."""
    client_id = site.client_id()
    code = PersonAtBrowser(site, user).grant(client_id, **parameters)
    answer = tokens(site, client_id, code)
    assert answer.status == 200, answer.body
    return client_id, answer.json
