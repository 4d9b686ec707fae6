"""`/login` and `/callback` with an OpenID provider."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.next_paths import HOME, next_path
from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.login.coming_in import BACK, FORBIDDEN, SigningIn
from mcptunnel.relay.web.login.surroundings import ProviderWeb
from mcptunnel.relay.web.pages.kinds import Link, ProvidersDown
from mcptunnel.relay.web.pages.messages import message_for
from mcptunnel.relay.web.people import redirect
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.way_back import back_path

WAY: Final = "oidc"
_UNAVAILABLE: Final = HTTPStatus.SERVICE_UNAVAILABLE.value
_MAX_HINT_CHARS: Final = 256


class ProviderPage(SigningIn[ProviderWeb]):
    """What both endpoints share."""

    methods = (b"GET",)

    def down(self, path: str) -> Send:
        """Return what says that the provider cannot be used; the log says why."""
        page = ProvidersDown(
            provider=self.web.provider_name,
            retry=sign_in_path(path),
            back=back_path(path, ErrorCode.TEMPORARILY_UNAVAILABLE),
        )
        return self.page(_UNAVAILABLE, page)


class ProviderSignIn(ProviderPage):
    """Sends the browser to the provider."""

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        wanted = parameters.values
        path, again = next_path(wanted.get("next")), "again" in wanted
        browser = await self.web.browsers.ensure(request)
        if browser.principal is not None and not again:
            return redirect(path)
        hint = wanted.get("login_hint", "")[:_MAX_HINT_CHARS]
        try:
            attempt, url = await self.web.provider.begin(again=again, login_hint=hint)
        except ProviderError:
            return self.down(path)
        await self.web.under_way.keep(attempt, browser.session_id, path)
        return redirect(url)


class Callback(ProviderPage):
    """Where the provider sends the browser back to (OpenID Connect Core 1.0, section 3.1.2.5)."""

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        browser = await self.web.browsers.of(request)
        begun, path = None, HOME
        if browser is not None:
            state = parameters.values.get("state", "")
            begun = await self.web.under_way.take(state, browser.session_id)
        if begun is not None:
            path = begun.next
        try:
            attempt = None if begun is None else begun.attempt
            person: Person = await self.web.provider.finish(attempt, parameters)
        except SignInError as error:
            if begun is not None:  # else anybody could fill the audit log
                await self.web.sign_ins.refused(self.web.addresses.of(request), WAY, str(error))
            return self._refused(error, path)
        except ProviderError:
            return self.down(path)
        if browser is None:  # pragma: no cover - `finish` does not let that pass
            return self.message(FORBIDDEN)
        return await self.come_in(request, browser, person, WAY, path)

    def _refused(self, error: SignInError, path: str) -> Send:
        page = message_for(
            FORBIDDEN,
            happened=f"You are not signed in. {error}.",
            next_step="Try again, perhaps with another user. Whoever runs this relay says who may.",
            link=Link(text="Try again", href=sign_in_path(path)),
        )
        code = ErrorCode.TEMPORARILY_UNAVAILABLE if error.is_temporary else ErrorCode.ACCESS_DENIED
        back = back_path(path, code)
        other = Link(text=BACK, href=back) if back else None
        return self.page(FORBIDDEN, replace(page, other=other))


def sign_in_path(path: str) -> str:
    """Return the path that signs a person in anew and then leads to another one."""
    return f"/login?{urlencode({'next': path, 'again': '1'})}"
