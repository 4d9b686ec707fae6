"""A relay where people sign in, on memory transports and a test clock."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from argon2.profiles import CHEAPEST

from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.sign_in import Attempt
from mcptunnel.auth.parameters import Parameters
from mcptunnel.model import Principal
from mcptunnel.relay.login.attempts import SignInsUnderWay
from mcptunnel.relay.login.directory import UserDirectory
from mcptunnel.relay.login.links import HeldLinks
from mcptunnel.relay.login.local_login import LocalLogin
from mcptunnel.relay.login.passwords import PasswordHashes
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.login.sign_ins import SignIns
from mcptunnel.relay.login.throttle import SignInThrottle
from mcptunnel.relay.oauth.limits import RequestLimits
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.login.surroundings import LocalWeb, ProviderWeb
from mcptunnel.relay.web.login.tree import put_local, put_provider
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.tree import guard_of
from mcptunnel.store.people.invitations import InvitationKind
from tests.relay.coroutines import now
from tests.relay.login.threads import ReactorAtOnce, ThreadsAtOnce
from tests.relay.web.oauth.site import ISSUER, SECRET, OAuthSite, PersonAtBrowser
from tests.relay.web.site import HttpAnswer

PASSWORD = "Grüße an den Bär 🐻"
PROVIDER = "https://idp.example"

_FIELD = re.compile(r'<input [^>]*?name="([a-z_]+)"[^>]*?>')
_VALUE = re.compile(r'value="([^"]*)"')


@dataclass
class LoginSite(OAuthSite):
    """`is_private` says that the way to the relay is."""

    is_private: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        clock, epoch_s = self.joined.clock, self.joined.epoch_s
        self.users = UserDirectory(
            self.store,
            ISSUER,
            is_local=True,
            random=self.random,
            epoch_s=epoch_s,
            revoked=self.revoked,
        )
        self.shared: dict[str, Any] = {
            "guard": guard_of(self.config),
            "pages": Pages(ISSUER),
            "addresses": ClientAddresses(self.trusted),
            "limits": RequestLimits(600, clock.seconds),
            "browsers": self.browsers,
            "sign_ins": SignIns(self.store, epoch_s),
            "is_private": self.is_private,
        }
        self.put()

    def put(self) -> None:
        reactor: Any = ReactorAtOnce()
        login = LocalLogin(
            self.store,
            PasswordHashes(reactor, ThreadsAtOnce(), CHEAPEST),
            SignInThrottle(self.joined.clock.seconds),
            epoch_s=self.joined.epoch_s,
            revoked=self.revoked,
        )
        links = HeldLinks(self.store, self.joined.epoch_s)
        put_local(self.root, LocalWeb(login=login, links=links, **self.shared))

    def link(
        self, kind: InvitationKind = InvitationKind.INVITATION, name: str | None = None
    ) -> str:
        """Return the path of a new link."""
        return now(self.users.make_link(kind, name)).url.removeprefix(ISSUER)

    def told(self) -> list[str]:
        """Return the names of what is in the audit log."""
        return [event.event for event in self.events()]


class FakeProvider:
    """A provider whose callback is obeyed: the code is the user."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.broken: Exception | None = None

    async def begin(self, *, again: bool = False, login_hint: str = "") -> tuple[Attempt, str]:
        if self.broken is not None:
            raise self.broken
        state = f"state{len(self.begun)}"
        self.begun.append({"again": again, "login_hint": login_hint})
        attempt = Attempt(
            issuer=PROVIDER, state=state, nonce="n", verifier="v", started_s=0.0, again=again
        )
        return attempt, f"{PROVIDER}/auth?state={state}"

    async def finish(self, attempt: Attempt | None, parameters: Parameters) -> Person:
        if self.broken is not None:
            raise self.broken
        if attempt is None or attempt.state != parameters.get("state"):
            raise SignInError("This browser did not begin to sign in")
        user = parameters.require("code")
        return Person(Principal(PROVIDER, user), user.title(), f"{user}@example.org")


@dataclass
class ProviderSite(LoginSite):
    """The same with a provider."""

    provider: FakeProvider = field(default_factory=FakeProvider)

    def put(self) -> None:
        provider: Any = self.provider
        under_way = SignInsUnderWay(
            self.store, secret=lambda: SECRET, random=self.random, epoch_s=self.joined.epoch_s
        )
        put_provider(
            self.root,
            ProviderWeb(
                provider=provider,
                provider_name="idp.example",
                under_way=under_way,
                **self.shared,
            ),
        )


class Visitor(PersonAtBrowser):
    """A person who fills in forms."""

    def open(self, path: str) -> HttpAnswer:
        """Go where a link leads."""
        answer = self.get(path)
        while answer.status == 303 and answer.headers["location"].startswith("/"):
            answer = self.get(answer.headers["location"])
        return answer

    def fill_in(self, path: str, page: HttpAnswer, **fields: str) -> HttpAnswer:
        """Send the form of a page, filled in."""
        return self.post(path, fields_of(page) | fields)

    def choose(self, link: str, name: str, password: str = PASSWORD) -> HttpAnswer:
        """Follow a link, and choose name and password there."""
        page = self.open(link)
        assert page.status == 200, page.body
        return self.fill_in(
            link.partition("?")[0], page, username=name, password=password, password_again=password
        )

    def log_in(self, name: str, password: str = PASSWORD, next_path: str = "/") -> HttpAnswer:
        """Sign in by the form."""
        page = self.get(f"/login?again=1&next={quote(next_path, safe='')}")
        assert page.status == 200, page.body
        return self.fill_in("/login", page, username=name, password=password)

    def is_signed_in(self) -> bool:
        """Whether the sign-in page sends this browser on at once."""
        return self.get("/login").status == 303


def fields_of(page: HttpAnswer) -> dict[str, str]:
    """Return the fields of a page's first form with what is in them."""
    form = page.body.decode().partition("<form")[2].partition("</form>")[0]
    found = {}
    for match in _FIELD.finditer(form):
        value = _VALUE.search(match[0])
        found[match[1]] = unescape(value[1]) if value else ""
    return found


def query_of(answer: HttpAnswer) -> dict[str, str]:
    """Return the parameters of where an answer leads."""
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
