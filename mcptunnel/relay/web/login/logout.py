"""`/logout`: this browser is signed out. Only a form of ours does that."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from mcptunnel.auth.next_paths import HOME, next_path
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.login.coming_in import FORBIDDEN, SigningIn
from mcptunnel.relay.web.login.surroundings import LoginWeb
from mcptunnel.relay.web.pages.kinds import SignedOutPage
from mcptunnel.relay.web.request import RelayRequest

_OK: Final = HTTPStatus.OK.value


class SignOut(SigningIn[LoginWeb]):
    """The form's target; whoever signs in after it has to prove who they are."""

    methods = (b"POST",)

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        if browser is not None:
            if self.web.browsers.post_fault(request, browser, parameters) is not None:
                return self.message(FORBIDDEN)
            await self.web.browsers.sign_out(request, browser)
            if browser.principal is not None:
                await self.web.sign_ins.left(browser.principal, self.web.addresses.of(request))
        path, wanted = next_path(parameters.values.get("next")), {"again": "1"}
        if path != HOME:
            wanted["next"] = path
        return self.page(_OK, SignedOutPage(sign_in=f"/login?{urlencode(wanted)}"))
