"""Browser sessions (threats 14 and 15): the cookie holds a secret, the store its hash.

A session begins before anybody signs in, so that a sign-in belongs to the browser that began it. Whoever
signs in gets another secret: a cookie that was planted before is worth nothing then.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twisted.web.http import Request

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.tokens import hash_token
from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Principal
from mcptunnel.relay.login.cookies import SessionCookie
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.oauth.throttling import BUSY_S, BusyError
from mcptunnel.relay.web.browser import Browser
from mcptunnel.relay.web.guard import Guard
from mcptunnel.sealing import NONCE_BYTES, SealBrokenError, Sealer
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.people.browsers import BrowserSession, BrowserSessions
from mcptunnel.store.people.users import User, Users

SECRET_BYTES: Final = 32
CSRF_FIELD: Final = "csrf"

_ID_BYTES: Final = 16
_TOUCH_EVERY_S: Final = 60.0
_MAX_LABEL_CHARS: Final = 120
_PURPOSE: Final = "browser session"
_OUR_SITES: Final = ("same-origin", "none")


class SessionOverError(McpTunnelError):
    """The session in which a person signs in is no more: another sign-in was faster, or it expired."""


class KeptOutError(McpTunnelError):
    """Who signed in may not come in: the user is disabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long a session lasts without use, and at most; how long one in which nobody signs in.

    `at_most` are all sessions together: more than strangers can begin before theirs end
    (`relay.oauth.limits`).
    """

    idle_s: float = 86_400.0
    lifetime_s: float = 14 * 86_400.0
    anonymous_s: float = 1_800.0
    at_most: int = 250_000


class CookieBrowsers:
    """All browser sessions (`relay.web.browser.Browsers`).

    `random` gives that many random bytes, `epoch_s` the time of day, `secret` the relay's secret.
    """

    def __init__(
        self,
        store: Store,
        public_url: str,
        limits: SessionLimits,
        *,
        secret: Callable[[], bytes],
        random: Callable[[int], bytes],
        epoch_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._limits = limits
        self._secret = secret
        self._random = random
        self._epoch_s = epoch_s
        self._cookie = SessionCookie.of(public_url)
        self._origins = Guard.of(public_url, (), ()).origins
        self._kept_sealer: Sealer | None = None

    async def of(self, request: Request) -> Browser | None:
        """Return the session of a request, by its cookie."""
        secret = self._cookie.read(request)
        if secret is None:
            return None
        secret_hash, now_s = hash_token(secret), self._epoch_s()
        found = await self._store.read(lambda connection: _find(connection, secret_hash, now_s))
        if found is None:
            return None
        session, user = found
        if now_s - session.last_used_s >= self._limits.idle_s or _is_kept_out(session, user):
            return None
        if now_s - session.last_used_s >= min(_TOUCH_EVERY_S, self._limits.idle_s / 2):
            await self._store.write(
                lambda connection: BrowserSessions(connection).touch(session.id, now_s)
            )
        return self._browser(session, "" if user is None else user.display_name)

    async def ensure(self, request: Request) -> Browser:
        """Return the same, or a new anonymous one whose cookie is set on the answer. Raises BusyError."""
        return await self.of(request) or await self._begin(request)

    async def signed_in(self, request: Request, browser: Browser, person: Person) -> Browser:
        """Return the session after a person signed in: its secret is another one, and so is its token.

        Raises KeptOutError, and SessionOverError.
        """
        old, now_s = self._cookie.read(request), self._epoch_s()
        if old is None:
            raise SessionOverError("This browser has no session")
        new, sealed = self._new_secret(), self._new_sealed(browser.session_id, now_s)
        expires_s = now_s + self._limits.lifetime_s
        old_hash, new_hash = hash_token(old), hash_token(new)

        def change(connection: Transaction) -> tuple[BrowserSession, User]:
            user = Users(connection).seen(
                person.principal,
                display_name=person.display_name,
                email=person.email,
                now_s=now_s,
            )
            if user.disabled_s is not None:
                raise KeptOutError("This user is disabled")
            session = BrowserSessions(connection).renew(
                old_hash,
                new_hash,
                principal=person.principal,
                sealed_csrf=sealed,
                expires_s=expires_s,
                now_s=now_s,
            )
            if session is None or session.id != browser.session_id:
                raise SessionOverError("This browser's session is no more")
            return session, user

        session, user = await self._store.write(change)
        renewed = self._browser(session, user.display_name)
        if renewed is None:
            raise SessionOverError("This browser's session cannot be read")
        self._cookie.put(request, new, self._limits.lifetime_s)
        return renewed

    async def sign_out(self, request: Request, browser: Browser) -> None:
        """End a session, and take its cookie away."""
        await self._store.write(
            lambda connection: BrowserSessions(connection).close(
                browser.principal, browser.session_id
            )
        )
        self._cookie.take_away(request)

    def post_fault(self, request: Request, browser: Browser | None, form: Parameters) -> str | None:
        """Return why a form must not be obeyed, or None.

        Browsers call the origin of a page without a referrer `null`, which our pages are (Fetch, section
        3.1): then Sec-Fetch-Site, if the browser sends it, and the token decide.
        """
        site = request.getHeader(b"sec-fetch-site")
        if site is not None and site.decode("latin-1").lower() not in _OUR_SITES:
            return "The form comes from another site"
        origin = request.getHeader(b"origin")
        if origin not in (None, b"null") and origin.decode("latin-1").lower() not in self._origins:
            return "The form comes from another origin"
        if browser is None:
            return "The browser has no session, or it is over"
        try:
            token = form.get(CSRF_FIELD)
        except OAuthError:
            token = None
        if token is None or not hmac.compare_digest(token.encode(), browser.csrf.encode()):
            return "The form's token is not the session's"
        return None

    async def _begin(self, request: Request) -> Browser:
        now_s, secret = self._epoch_s(), self._new_secret()
        session_id = self._random(_ID_BYTES).hex()
        session = BrowserSession(
            id=session_id,
            secret_hash=hash_token(secret),
            principal=None,
            sealed_csrf=self._new_sealed(session_id, now_s),
            label=_label(request),
            created_s=now_s,
            last_used_s=now_s,
            expires_s=now_s + self._limits.anonymous_s,
        )
        at_most = self._limits.at_most
        has_room = await self._store.write(
            lambda connection: BrowserSessions(connection).add(session, at_most=at_most)
        )
        browser = self._browser(session, "")
        if not has_room or browser is None:
            raise BusyError("Too many browsers are at this relay's pages", BUSY_S)
        self._cookie.put(request, secret, None)
        return browser

    def _browser(self, session: BrowserSession, display_name: str) -> Browser | None:
        """Return a session as pages see it; None if the relay's secret is another one by now."""
        try:
            opened = self._sealer.open(
                session.sealed_csrf, now_s=self._epoch_s(), context=session.id.encode()
            )
            signed_in_s, _, csrf = opened.decode().partition(" ")
        except SealBrokenError:
            return None
        return Browser(session.id, csrf, session.principal, display_name, float(signed_in_s))

    def _new_secret(self) -> str:
        return _text(self._random(SECRET_BYTES))

    def _new_sealed(self, session_id: str, now_s: float) -> str:
        csrf = _text(self._random(SECRET_BYTES))
        return self._sealer.seal(
            f"{now_s!r} {csrf}".encode(),
            nonce=self._random(NONCE_BYTES),
            expires_s=now_s + self._limits.lifetime_s + 1,
            context=session_id.encode(),
        )

    @property
    def _sealer(self) -> Sealer:
        if self._kept_sealer is None:
            self._kept_sealer = Sealer(self._secret(), _PURPOSE)
        return self._kept_sealer


def _find(
    connection: Transaction, secret_hash: bytes, now_s: float
) -> tuple[BrowserSession, User | None] | None:
    session = BrowserSessions(connection).find(secret_hash, now_s)
    if session is None:
        return None
    principal: Principal | None = session.principal
    return session, None if principal is None else Users(connection).find(principal)


def _is_kept_out(session: BrowserSession, user: User | None) -> bool:
    """Tell whether a session is of a user who is disabled or gone, whatever else was done about it."""
    return session.principal is not None and (user is None or user.disabled_s is not None)


def _label(request: Request) -> str:
    agent = request.getHeader(b"user-agent") or b""
    return clean_text(agent.decode("utf-8", "replace"), _MAX_LABEL_CHARS)


def _text(secret: bytes) -> str:
    return urlsafe_b64encode(secret).rstrip(b"=").decode()
