"""`/authorize` and `/consent`: a client's request, the sign-in before it, and the person's answer."""

from typing import Final
from urllib.parse import urlencode

from mcptunnel.auth.authorization import (
    AskConsent,
    ConsentRemembered,
    Decision,
    ErrorPage,
    ErrorRedirect,
    LogIn,
)
from mcptunnel.auth.client_display import client_display
from mcptunnel.auth.consent import for_reading, split_new
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.redirects import form_action_source
from mcptunnel.relay.oauth.authorizing import Asked, Visitor
from mcptunnel.relay.oauth.limits import Limited
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.relay.web.browser import Browser
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.pages.asked import asked_endpoint
from mcptunnel.relay.web.pages.kinds import ConsentPage, Link
from mcptunnel.relay.web.pages.messages import message_for
from mcptunnel.relay.web.people import ForPeople, redirect
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.way_back import KEPT, LEFT, left_code

MAX_NEXT_CHARS: Final = 2000
"""A request that is longer is named by its id alone when the person goes to sign in as somebody else."""

MAX_POSTED_CHARS: Final = 15_000
"""What a request line has room for (`relay.web.channel`)."""

_KEPT: Final = frozenset({"request"})
_LEFT: Final = frozenset({"request", LEFT})
_BAD_REQUEST: Final = 400
_TOO_LARGE: Final = 413
_ALLOW: Final = "allow"
_READ: Final = "read"
_WRONG: Final = "An application sent you here with a request that this relay cannot help it with"
_KNOWN: Final = "You can tell it so, if you know"
_OVER: Final = "This request was answered before, or it is too old."
_START_AGAIN: Final = "Start again in the application that sent you here."


class Deciding(ForPeople[OAuthWeb]):
    """What both endpoints share."""

    limited = Limited.AUTHORIZE

    async def decide(
        self, request: RelayRequest, asked: Asked, browser: Browser | None
    ) -> Decision:
        visitor = Visitor() if browser is None else Visitor(browser.principal, browser.signed_in_s)
        authorizing = self.web.server.authorizing
        address = self.web.addresses.of(request)
        if visitor.principal is not None:
            self.web.limits.proved(address)
        decision = await authorizing.decide(asked, visitor, address)
        if isinstance(decision, ErrorPage | ErrorRedirect):
            await authorizing.note_refusal(asked, decision, visitor, address)
        return decision

    async def kept(self, parameters: Parameters, browser: Browser | None) -> Asked | None:
        """Return the request that `request` names, if it is of this browser session."""
        if browser is None:
            return None
        request_id = parameters.values.get("request", "")
        return await self.web.server.authorizing.kept(request_id, browser.session_id)

    def over(self) -> Send:
        """Return what says that a request has ended."""
        return self.message(410, _OVER, _START_AGAIN)

    def refused(self, decision: ErrorPage | ErrorRedirect) -> Send:
        """Return what sends an error: to the person, to the client, or to the one by way of the other."""
        if isinstance(decision, ErrorPage):
            return self.message(_BAD_REQUEST, decision.message)
        if decision.ask_about is None:
            return redirect(decision.location)
        place = decision.ask_about.redirect_to
        link = Link(text=f"Go on to {place}", href=decision.location)
        happened = f"{_WRONG}: {decision.code.value}."
        page = message_for(
            _BAD_REQUEST, happened=happened, next_step=f"{_KNOWN} {place}.", link=link
        )
        return self.page(_BAD_REQUEST, page)

    def sign_in(self, step: LogIn, request_id: str) -> Send:
        """Return what sends the person to the sign-in, and back to us after it."""
        wanted = {"next": kept_path(request_id)}
        if step.again:
            wanted["again"] = "1"
        if step.request.login_hint:
            wanted["login_hint"] = step.request.login_hint
        return redirect(f"/login?{urlencode(wanted)}")


class Authorize(Deciding):
    """`/authorize` (RFC 6749, 3.1)."""

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        if browser is None and request.method == b"POST":
            return self._asked_anew(parameters)
        if parameters.values.keys() == _LEFT:
            return await self._leave(request, parameters, browser)
        return await self._go_through(request, parameters, browser)

    async def _go_through(
        self, request: RelayRequest, parameters: Parameters, browser: Browser | None
    ) -> Send:
        if parameters.values.keys() == _KEPT:
            request_id: str | None = parameters.values["request"]
            asked = await self.kept(parameters, browser)
            if asked is None:
                return self.over()
        else:
            self._count_client(request, parameters)
            request_id, asked = None, self.web.server.authorizing.asked_now(parameters)
        decision = await self.decide(request, asked, browser)
        if isinstance(decision, ErrorPage | ErrorRedirect):
            return self.refused(decision)
        if isinstance(decision, ConsentRemembered):
            return await self._go_on(request, decision, request_id, browser)
        browser = browser or await self.web.browsers.ensure(request)
        request_id = request_id or await self.web.server.authorizing.keep(asked, browser.session_id)
        if isinstance(decision, LogIn):
            return self.sign_in(decision, request_id)
        return await self._ask(decision, asked, request_id, browser)

    def _asked_anew(self, parameters: Parameters) -> Send:
        """Let the browser ask with GET.

        From a form of another site it sends no cookie (SameSite=Lax): a new session would take the place
        of the one that it has.
        """
        path = f"/authorize?{urlencode(parameters.values)}"
        return redirect(path) if len(path) <= MAX_POSTED_CHARS else self.message(_TOO_LARGE)

    async def _leave(
        self, request: RelayRequest, parameters: Parameters, browser: Browser | None
    ) -> Send:
        """Tell the client that nobody signed in. Nothing is changed: the request may be taken up again."""
        asked, code = await self.kept(parameters, browser), left_code(parameters.values[LEFT])
        if asked is None or code is None:
            return self.over()
        decision = await self.decide(request, asked, browser)
        if isinstance(decision, ErrorPage | ErrorRedirect):
            return self.refused(decision)
        return self.refused(self.web.server.authorizing.left(decision, code))

    def _count_client(self, request: RelayRequest, parameters: Parameters) -> None:
        client_id, address = parameters.values.get("client_id", ""), self.web.addresses.of(request)
        wait_s = self.web.limits.client_wait_s(self.limited, client_id[:512], address)
        if wait_s:
            raise BusyError(
                "There are too many requests of this client", wait_s, is_fault_of_client=True
            )

    async def _go_on(
        self,
        request: RelayRequest,
        step: ConsentRemembered,
        request_id: str | None,
        browser: Browser | None,
    ) -> Send:
        kept = None if request_id is None or browser is None else (request_id, browser.session_id)
        address = self.web.addresses.of(request)
        location = await self.web.server.authorizing.agree(step, kept, address)
        return self.over() if location is None else redirect(location)

    async def _ask(self, step: AskConsent, asked: Asked, request_id: str, browser: Browser) -> Send:
        wanted = step.request
        held, new = split_new(wanted, await self.web.server.authorizing.held(step))
        page = ConsentPage(
            client=client_display(wanted.client, wanted.redirect_uri),
            person=browser.display_name,
            endpoint=asked_endpoint(wanted.resource),
            scopes=new,
            held=held,
            can_be_read=for_reading(wanted) is not None,
            csrf=browser.csrf,
            request_id=request_id,
            sign_in_next=_again_path(asked, request_id),
        )
        return self.page(200, page, form_action=(form_action_source(wanted.redirect_uri),))


class Consent(Deciding):
    """`/consent`: what a person answered. The only place where a code is made that was not remembered."""

    methods = (b"POST",)

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        fault = self.web.browsers.post_fault(request, browser, parameters)
        if fault is not None or browser is None:
            return self.message(403)
        request_id = parameters.values.get("request", "")
        authorizing = self.web.server.authorizing
        asked = await self.kept(parameters, browser)
        if asked is None:
            return self.over()
        decision = await self.decide(request, asked, browser)
        if isinstance(decision, ErrorPage | ErrorRedirect):
            return self.refused(decision)
        if isinstance(decision, LogIn):
            return self.sign_in(decision, request_id)
        kept, address = (request_id, browser.session_id), self.web.addresses.of(request)
        agreed = _agreed(decision, parameters.values.get("decision"))
        if agreed is not None:
            location = await authorizing.agree(agreed, kept, address)
        else:
            location = await authorizing.deny(decision, kept, address)
        return self.over() if location is None else redirect(location)


def _agreed(
    step: AskConsent | ConsentRemembered, answer: str | None
) -> AskConsent | ConsentRemembered | None:
    """Return what a person agreed to, which may be less than was asked for; None for a no."""
    if answer == _ALLOW:
        return step
    less = for_reading(step.request) if answer == _READ else None
    return None if less is None else AskConsent(less, step.principal)


def kept_path(request_id: str) -> str:
    """Return the path of a request that was kept."""
    return KEPT + request_id


def _again_path(asked: Asked, request_id: str) -> str:
    """Return the path that asks the same anew, in the session of whoever signs in then."""
    path = f"/authorize?{urlencode(asked.parameters.values)}"
    return path if len(path) <= MAX_NEXT_CHARS else kept_path(request_id)
