"""The browser session that a person's request belongs to, as pages see it."""

from dataclasses import dataclass, field
from typing import Protocol

from twisted.web.http import Request

from mcptunnel.auth.parameters import Parameters
from mcptunnel.model import Principal
from mcptunnel.relay.login.people import Person


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser session; nobody is signed in when `principal` is None. `signed_in_s` is since the epoch."""

    session_id: str
    csrf: str = field(repr=False)
    principal: Principal | None
    display_name: str
    signed_in_s: float


class Browsers(Protocol):
    """All browser sessions, by their cookies."""

    async def of(self, request: Request) -> Browser | None:
        """Return the session of a request, by its cookie."""

    async def ensure(self, request: Request) -> Browser:
        """Return the same, or a new anonymous one whose cookie is set on the answer."""

    async def signed_in(self, request: Request, browser: Browser, person: Person) -> Browser:
        """Return the session after a person signed in: its secret is another one."""

    async def sign_out(self, request: Request, browser: Browser) -> None:
        """End a session, and take its cookie away."""

    def post_fault(self, request: Request, browser: Browser | None, form: Parameters) -> str | None:
        """Return why a form must not be obeyed (CSRF token, Origin, Sec-Fetch-Site), or None."""
