"""`/login` with a name and a password of this relay."""

from http import HTTPStatus
from typing import Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.local_users import MAX_NAME_CHARS
from mcptunnel.auth.next_paths import next_path
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.login.local_login import RefusedError
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.login.coming_in import FORBIDDEN, SigningIn
from mcptunnel.relay.web.login.surroundings import LocalWeb
from mcptunnel.relay.web.pages.kinds import SignInPage
from mcptunnel.relay.web.people import redirect
from mcptunnel.relay.web.request import RelayRequest

WAY: Final = "local"
_OK: Final = HTTPStatus.OK.value


class LocalSignIn(SigningIn[LocalWeb]):
    """The form. Whoever is signed in goes on at once, unless they are to prove it `again`."""

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        if request.method == b"POST":
            return await self._signed_in(request, parameters)
        wanted = parameters.values
        browser = await self.web.browsers.ensure(request)
        path = next_path(wanted.get("next"))
        if browser.principal is not None and "again" not in wanted:
            return redirect(path)
        name = clean_text(wanted.get("login_hint", ""), MAX_NAME_CHARS)
        return self.page(_OK, SignInPage(csrf=browser.csrf, next=path, username=name))

    async def _signed_in(self, request: RelayRequest, form: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        if self.web.browsers.post_fault(request, browser, form) is not None or browser is None:
            return self.message(FORBIDDEN)
        name, address = form.values.get("username", ""), self.web.addresses.of(request)
        path = next_path(form.values.get("next"))
        try:
            person = await self.web.login.sign_in(name, form.values.get("password", ""), address)
        except RefusedError as error:
            shown = clean_text(name, MAX_NAME_CHARS)
            page = SignInPage(csrf=browser.csrf, next=path, username=shown, error=str(error))
            return self.page(FORBIDDEN, page)
        return await self.come_in(request, browser, person, WAY, path)
