"""What is the same however a person signed in: the session is renewed, and they go on where they wanted to."""

from http import HTTPStatus
from typing import Final, TypeVar

from mcptunnel.auth.errors import ErrorCode
from mcptunnel.relay.login.browsers import KeptOutError, SessionOverError
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.oauth.limits import Limited
from mcptunnel.relay.web.browser import Browser
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.login.surroundings import LoginWeb
from mcptunnel.relay.web.pages.kinds import Link
from mcptunnel.relay.web.pages.messages import message_for
from mcptunnel.relay.web.people import ForPeople, redirect
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.way_back import back_path

FORBIDDEN: Final = HTTPStatus.FORBIDDEN.value
BACK: Final = "Back to the application"

W = TypeVar("W", bound=LoginWeb)


class SigningIn(ForPeople[W]):
    """An endpoint that a person comes in by."""

    limited = Limited.SIGN_IN

    async def come_in(
        self, request: RelayRequest, browser: Browser, person: Person, way: str, next_path: str
    ) -> Send:
        """Renew the browser's session for who signed in; send them on."""
        address = self.web.addresses.of(request)
        try:
            await self.web.browsers.signed_in(request, browser, person)
        except KeptOutError:
            await self.web.sign_ins.refused(address, way, "disabled")
            return self._kept_out(next_path)
        except SessionOverError:
            return self.message(FORBIDDEN)
        self.web.limits.proved(address)
        await self.web.sign_ins.came(person.principal, address, way)
        return redirect(next_path)

    def _kept_out(self, next_path: str) -> Send:
        back = back_path(next_path, ErrorCode.ACCESS_DENIED)
        page = message_for(
            FORBIDDEN,
            happened="This user may not sign in.",
            next_step="Ask whoever runs this relay.",
            link=Link(text=BACK, href=back) if back else None,
        )
        return self.page(FORBIDDEN, page)
