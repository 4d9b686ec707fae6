"""`/api/v1/grants` of the control socket: which clients and agents act for whom, and the end of that."""

from collections.abc import Sequence
from typing import Protocol

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.control_api import (
    Answers,
    JsonResource,
    NotFound,
    Reply,
    bad_request,
    read_texts,
)
from mcptunnel.relay.oauth.taking_back import UsedGrant, grant_to_json


class Grants(Protocol):
    """The grants, as the control socket needs them (`relay.oauth.taking_back.GrantDirectory`)."""

    async def list(self) -> Sequence[UsedGrant]: ...

    async def take_back_grant(self, grant_id: str) -> int: ...

    async def take_back_client(self, client_id: str, principal: Principal | None) -> int: ...


class GrantsResource(JsonResource):
    """`/api/v1/grants`: list them; `revoke` is below."""

    METHODS = ("GET",)

    def __init__(self, grants: Grants, answers: Answers) -> None:
        super().__init__(answers)
        self._grants = grants

    def getChild(self, path: bytes, _request: Request) -> Resource:
        if path == b"revoke":
            return RevokeResource(self._grants, self.answers)
        return NotFound() if path else self

    async def answer(self, _method: str, _body: bytes) -> Reply:
        return Reply(http.OK, {"grants": [grant_to_json(one) for one in await self._grants.list()]})


class RevokeResource(JsonResource):
    """`/api/v1/grants/revoke`: end `grant`, or what `client_id` was granted, by `user` of `issuer` or by all."""

    METHODS = ("POST",)

    def __init__(self, grants: Grants, answers: Answers) -> None:
        super().__init__(answers)
        self._grants = grants

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, body: bytes) -> Reply:
        wanted = read_texts(body)
        if "grant" in wanted:
            return Reply(http.OK, {"ended": await self._grants.take_back_grant(wanted["grant"])})
        if "client_id" not in wanted:
            raise bad_request(
                "wanted: an object with grant, or client_id and maybe user and issuer"
            )
        principal = None
        if "user" in wanted:
            principal = Principal(wanted.get("issuer", LOCAL_ISSUER), wanted["user"])
        ended = await self._grants.take_back_client(wanted["client_id"], principal)
        return Reply(http.OK, {"ended": ended})
