"""`/device`: a person types the code that a program shows, and decides about it (RFC 8628, 3.3)."""

from typing import Final
from urllib.parse import urlencode

from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.rate_limits import address_key
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.devices import AskedDevice
from mcptunnel.relay.oauth.limits import Limited
from mcptunnel.relay.web.browser import Browser
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.oauth.programs import retry_after
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.pages.asked import asked_endpoint
from mcptunnel.relay.web.pages.kinds import DeviceCodePage, DeviceConfirmPage, DeviceDone
from mcptunnel.relay.web.people import ForPeople, redirect
from mcptunnel.relay.web.request import RelayRequest

MAX_CODE_CHARS: Final = 64
_WRONG: Final = "No program waits under this code. Look again, or let the program show a new one."
_DECISIONS: Final = {"allow": True, "deny": False}


class Device(ForPeople[OAuthWeb]):
    """The page, and both of its forms."""

    limited = Limited.DEVICE

    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        typed = parameters.values.get("user_code", "")[:MAX_CODE_CHARS]
        browser = await self.web.browsers.of(request)
        if request.method == b"POST":
            fault = self.web.browsers.post_fault(request, browser, parameters)
            if fault is not None or browser is None:
                return self.message(403)
        if browser is None or browser.principal is None:
            return redirect(f"/login?{urlencode({'next': _path(typed)})}")
        self.web.limits.proved(self.web.addresses.of(request))
        if request.method == b"GET":
            return self._ask_code(browser, typed)
        keys = self._keys(request, browser.principal)
        wait_s = self.web.guessed.wait_s(*keys)
        if wait_s:
            self._with(request, retry_after(wait_s))
            return self.message(429, "Too many codes were wrong.", "Wait ten minutes.")
        allowed = _DECISIONS.get(parameters.values.get("decision", ""))
        if allowed is None:
            return await self._confirm(browser, typed, keys)
        return await self._decide(request, browser.principal, typed, allowed=allowed, keys=keys)

    def _ask_code(self, browser: Browser, typed: str, error: str = "") -> Send:
        page = DeviceCodePage(
            csrf=browser.csrf,
            person=browser.display_name,
            sign_in_next=_path(typed),
            user_code=typed,
            error=error,
        )
        return self.page(400 if error else 200, page)

    async def _confirm(self, browser: Browser, typed: str, keys: tuple[str, ...]) -> Send:
        asked = await self.web.server.devices.find(typed)
        if asked is None:
            self.web.guessed.was_wrong(*keys)
            return self._ask_code(browser, typed, _WRONG)
        return self.page(200, _confirm_page(browser, asked))

    async def _decide(
        self,
        request: RelayRequest,
        principal: Principal,
        typed: str,
        *,
        allowed: bool,
        keys: tuple[str, ...],
    ) -> Send:
        address = self.web.addresses.of(request)
        devices = self.web.server.devices
        asked = await devices.decide(typed, principal, allowed=allowed, address=address)
        if asked is None:
            self.web.guessed.was_wrong(*keys)
            return self.message(410, "Nothing waits under this code any more.")
        return self.page(200, DeviceDone(allowed=allowed, device_name=asked.device_name))

    def _keys(self, request: RelayRequest, principal: Principal) -> tuple[str, ...]:
        """Return whose wrong codes are counted: the person's, and the address's."""
        return f"user {principal}", f"address {address_key(self.web.addresses.of(request))}"


def _confirm_page(browser: Browser, asked: AskedDevice) -> DeviceConfirmPage:
    return DeviceConfirmPage(
        application=asked.client.name,
        person=browser.display_name,
        endpoint=asked_endpoint(asked.resource),
        scopes=asked.scopes,
        csrf=browser.csrf,
        user_code=asked.user_code,
        device_name=asked.device_name,
        host_name=asked.host_name,
        address=asked.address,
        asked_s=asked.asked_s,
        sign_in_next=_path(asked.user_code),
    )


def _path(typed: str) -> str:
    return f"/device?{urlencode({'user_code': typed})}" if typed else "/device"
