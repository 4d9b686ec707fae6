"""`/setup`, `/invite` and `/reset`: a person who came by a link chooses a name and a password."""

from abc import abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, ClassVar, Final, NamedTuple

from mcptunnel.auth import local_users
from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.local_users import LEAST_PASSWORD_CHARS, MAX_NAME_CHARS
from mcptunnel.auth.next_paths import HOME
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.login.changes import LinkOverError, NameTakenError
from mcptunnel.relay.login.links import PATHS, TOKEN_FIELD
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.web.browser import Browser
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.login.coming_in import FORBIDDEN, SigningIn
from mcptunnel.relay.web.login.surroundings import LocalWeb
from mcptunnel.relay.web.pages.kinds import AnyPage, InvitationPage, ResetPage, SetupPage
from mcptunnel.relay.web.people import redirect
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.store.people.invitations import Invitation, InvitationKind

_OK: Final = HTTPStatus.OK.value
_BAD_REQUEST: Final = HTTPStatus.BAD_REQUEST.value
_GONE: Final = HTTPStatus.GONE.value
_DIFFER: Final = "The two passwords differ."
_OPERATOR: Final = "Whoever runs this relay"


class Joining(SigningIn[LocalWeb]):
    """One kind of links. Following one uses nothing up: programs that look at links do that, too."""

    kind: ClassVar[InvitationKind]

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        if not (self.web.is_private or _is_here(request)):
            return self.message(
                FORBIDDEN,
                "A password would go over the network for all to read.",
                "Open the link on the relay's own machine, or let the relay have https.",
            )
        if request.method == b"POST":
            return await self._chosen(request, parameters)
        browser = await self.web.browsers.ensure(request)
        token = parameters.values.get(TOKEN_FIELD)
        if token is not None:
            if not await self.web.links.hold(browser.session_id, self.kind, token):
                return self.message(_GONE)
            return redirect(PATHS[self.kind])
        link = await self.web.links.held(browser.session_id, self.kind)
        if link is None:
            return self.message(_GONE)
        return self._form(_OK, link, browser, link.for_subject or "", Faults())

    @abstractmethod
    def page_with(self, link: Invitation, members: Mapping[str, Any]) -> AnyPage:
        """Return the page for a link; `members` are those of every `NewUser`."""

    async def _chosen(self, request: RelayRequest, form: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        if self.web.browsers.post_fault(request, browser, form) is not None or browser is None:
            return self.message(FORBIDDEN)
        link = await self.web.links.held(browser.session_id, self.kind)
        if link is None:
            return self.message(_GONE)
        name = link.for_subject or local_users.user_name(form.values.get("username", ""))
        password = form.values.get("password", "")
        faults = _faults(name, password, form.values.get("password_again", ""))
        if any(faults):
            return self._form(_BAD_REQUEST, link, browser, name, faults)
        address = self.web.addresses.of(request)
        try:
            person = await self.web.login.join(self.kind, link.token_hash, name, password, address)
        except NameTakenError as error:
            return self._form(_BAD_REQUEST, link, browser, name, Faults(name=str(error)))
        except LinkOverError:
            return self.message(_GONE)
        return await self._come_in(request, browser, person)

    async def _come_in(self, request: RelayRequest, browser: Browser, person: Person) -> Send:
        if browser.principal == person.principal:  # this session ended with the old password
            return redirect("/login")
        return await self.come_in(request, browser, person, self.kind.value, HOME)

    def _form(
        self, status: int, link: Invitation, browser: Browser, name: str, faults: "Faults"
    ) -> Send:
        members = {
            "csrf": browser.csrf,
            "least_password_chars": LEAST_PASSWORD_CHARS,
            "username": clean_text(name, MAX_NAME_CHARS),
            "name_is_fixed": link.for_subject is not None,
            "username_error": faults.name,
            "password_error": faults.password,
            "again_error": faults.again,
        }
        return self.page(status, self.page_with(link, members))


class Faults(NamedTuple):
    """What is wrong with each field, as sentences."""

    name: str = ""
    password: str = ""
    again: str = ""


class SetUp(Joining):
    """The first user of a relay."""

    kind = InvitationKind.SETUP

    def page_with(self, link: Invitation, members: Mapping[str, Any]) -> AnyPage:
        return SetupPage(**members)


class Invite(Joining):
    """One more user."""

    kind = InvitationKind.INVITATION

    def page_with(self, link: Invitation, members: Mapping[str, Any]) -> AnyPage:
        by = _OPERATOR if link.created_by is None else link.created_by.shown
        return InvitationPage(invited_by=by, **members)


class Reset(Joining):
    """Another password for a user."""

    kind = InvitationKind.RESET

    def page_with(self, link: Invitation, members: Mapping[str, Any]) -> AnyPage:
        return ResetPage(**members)


def _faults(name: str, typed: str, again: str) -> Faults:
    password = local_users.password(typed)
    return Faults(
        local_users.name_fault(name),
        local_users.password_fault(password, name),
        "" if password == local_users.password(again) else _DIFFER,
    )


def _is_here(request: RelayRequest) -> bool:
    """Tell whether a request comes from this machine itself, by no proxy."""
    if request.requestHeaders.hasHeader(b"x-forwarded-for"):
        return False
    host = getattr(request.getClientAddress(), "host", "")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
