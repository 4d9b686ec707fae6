"""`/token`, `/revoke`, `/device_authorization` and `/register`."""

from http import HTTPStatus

from mcptunnel.auth.clients import Client
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.oauth.limits import Limited
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.relay.web.later import Send
from mcptunnel.relay.web.oauth.programs import ForPosts, json_answer, single_authorization
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.root import single


class ForClients(ForPosts):
    """An endpoint that takes a form from a client, which proves itself."""

    async def _client(self, request: RelayRequest, body: bytes) -> tuple[Parameters, Client]:
        parameters = self.form(request, body)
        authorization, address = single_authorization(request), self._address(request)
        client = await self.web.server.clients.client(parameters, authorization, address)
        if self.limited is not None:
            wait_s = self.web.limits.client_wait_s(self.limited, client.id, address)
            if wait_s:
                raise BusyError(
                    "There are too many requests of this client", wait_s, is_fault_of_client=True
                )
        return parameters, client

    def _address(self, request: RelayRequest) -> str:
        return self.web.addresses.of(request)


class Token(ForClients):
    """`/token` (RFC 6749, 3.2)."""

    limited = Limited.TOKEN

    async def work(self, request: RelayRequest, body: bytes) -> Send:
        parameters, client = await self._client(request, body)
        address = self._address(request)
        answer = await self.web.server.tokens.answer(parameters, client, address)
        self.web.limits.proved(address)
        return json_answer(200, answer)


class Revoke(ForClients):
    """`/revoke` (RFC 7009): 200 whatever was found."""

    limited = Limited.REVOKE

    async def work(self, request: RelayRequest, body: bytes) -> Send:
        parameters, client = await self._client(request, body)
        await self.web.server.giving_back.take(parameters, client, self._address(request))
        return json_answer(200, {})


class DeviceAuthorization(ForClients):
    """`/device_authorization` (RFC 8628, 3.1)."""

    limited = Limited.DEVICE_AUTHORIZATION

    async def work(self, request: RelayRequest, body: bytes) -> Send:
        parameters, client = await self._client(request, body)
        devices = self.web.server.devices
        return json_answer(200, await devices.begin(parameters, client, self._address(request)))


class Register(ForPosts):
    """`/register` (RFC 7591, 3)."""

    limited = Limited.REGISTER

    async def work(self, request: RelayRequest, body: bytes) -> Send:
        registering = self.web.server.registering
        registering.check_token(_bearer(request))
        answer = await registering.answer(body, self.web.addresses.of(request))
        return json_answer(HTTPStatus.CREATED, answer)

    def challenge(self, request: RelayRequest) -> bytes:
        return b"Bearer"


def _bearer(request: RelayRequest) -> str | None:
    scheme, _, token = (single(request, b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
