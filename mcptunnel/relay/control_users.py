"""`/api/v1/users` of the control socket: who may sign in."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.control_api import (
    Answers,
    JsonResource,
    NotFound,
    RefusedError,
    Reply,
    bad_request,
    read_texts,
)
from mcptunnel.relay.login.changes import NotPossibleError
from mcptunnel.relay.login.directory import LINKS, MadeLink, user_to_json
from mcptunnel.store.people.invitations import InvitationKind
from mcptunnel.store.people.users import User

CHANGES: Final = ("disable", "enable", "remove")


class People(Protocol):
    """The users, as the control socket needs them (`relay.login.directory.UserDirectory`)."""

    async def list(self) -> Sequence[User]: ...

    async def make_link(self, kind: InvitationKind, name: str | None) -> MadeLink: ...

    async def disable(self, principal: Principal) -> bool: ...

    async def enable(self, principal: Principal) -> bool: ...

    async def remove(self, principal: Principal) -> bool: ...


class UsersResource(JsonResource):
    """`/api/v1/users`: list them; what is done about them is below."""

    METHODS = ("GET",)

    def __init__(self, people: People, answers: Answers) -> None:
        super().__init__(answers)
        self._people = people

    def getChild(self, path: bytes, _request: Request) -> Resource:
        name = path.decode("utf-8", "replace")
        if name in LINKS:
            return LinkResource(self._people, LINKS[name], self.answers)
        if name in CHANGES:
            return ChangeResource(self._people, name, self.answers)
        return self if not name else NotFound()

    async def answer(self, _method: str, _body: bytes) -> Reply:
        return Reply(http.OK, {"users": [user_to_json(u) for u in await self._people.list()]})


class LinkResource(JsonResource):
    """`/api/v1/users/invite` and the like: make a link, for `user` if it is given."""

    METHODS = ("POST",)

    def __init__(self, people: People, kind: InvitationKind, answers: Answers) -> None:
        super().__init__(answers)
        self._people = people
        self._kind = kind

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, body: bytes) -> Reply:
        name = read_texts(body).get("user")
        if self._kind is InvitationKind.RESET and name is None:
            raise bad_request("wanted: an object with user")
        try:
            made = await self._people.make_link(self._kind, name)
        except NotPossibleError as error:
            raise RefusedError(http.CONFLICT, "not_possible", str(error)) from error
        return Reply(http.CREATED, {"url": made.url, "expires_s": made.expires_s})


class ChangeResource(JsonResource):
    """`/api/v1/users/disable` and the like: change `user` of `issuer`."""

    METHODS = ("POST",)

    def __init__(self, people: People, change: str, answers: Answers) -> None:
        super().__init__(answers)
        changes: dict[str, Callable[[Principal], Coroutine[Any, Any, bool]]] = {
            "disable": people.disable,
            "enable": people.enable,
            "remove": people.remove,
        }
        self._change = changes[change]

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, body: bytes) -> Reply:
        members = read_texts(body)
        if "user" not in members:
            raise bad_request("wanted: an object with user, and maybe issuer")
        principal = Principal(members.get("issuer", LOCAL_ISSUER), members["user"])
        return Reply(http.OK, {"changed": await self._change(principal)})
