"""`/api/v1` of the control socket: what it answers about keys and about the relay."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from mcptunnel.auth.keys import (
    MAX_LABEL_CHARS,
    IssuedKey,
    KeyId,
    KeyRecord,
    Scope,
    is_label,
    record_to_json,
)
from mcptunnel.errors import McpTunnelError

STOP_TIMEOUT_S = 2.0
"""How long a stop waits for requests that are being answered: less than twistd's patience."""

_MAX_BODY_BYTES = 16 * 1024


class KeyDirectory(Protocol):
    """The API keys, as the control socket needs them."""

    async def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey: ...

    async def list(self) -> Sequence[KeyRecord]: ...

    async def revoke(self, key_id: KeyId) -> bool: ...


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """What the relay is doing: `state` is `running` or `draining`, the rest are numbers."""

    state: str
    calls: int
    devices: int
    resuming: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status and JSON value, no value meaning no body."""

    status: int
    value: Any = None


class RefusedError(Exception):
    """A request that is answered with an error object `{"error": {"code", "message"}}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"error": {"code": code, "message": message}})


class Answers:
    """The requests that are being answered now."""

    _log = Logger()

    def __init__(self) -> None:
        self._under_way: set[Deferred[None]] = set()

    def begin(self, answering: Coroutine[Deferred[Any], Any, None]) -> None:
        """Own an answer until it is given; what goes wrong with it is logged."""
        begun = Deferred.fromCoroutine(answering)
        self._under_way.add(begun)
        begun.addErrback(self._failed).addBoth(lambda _result: self._under_way.discard(begun))

    async def settled(self, clock: IReactorTime) -> None:
        """Wait until all are given; those that take more than `STOP_TIMEOUT_S` are given up."""
        await DeferredList(list(self._under_way)).addTimeout(STOP_TIMEOUT_S, clock)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a request on the control socket was not answered", failure)


class NotFound(Resource):
    """A place with nothing but what is below it."""

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    def render(self, request: Request) -> bytes:
        message = "there is nothing at this path"
        return write_reply(request, RefusedError(http.NOT_FOUND, "not_found", message).reply)


class JsonResource(Resource, ABC):
    """Answers `METHODS` with JSON; an exception is logged and answered with 500."""

    _log = Logger()
    METHODS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    @abstractmethod
    async def answer(self, method: str, body: bytes) -> Reply:
        """Answer one of `METHODS`. Raises `RefusedError` for an answer that is an error."""

    def render(self, request: Request) -> bytes | int:
        method = request.method.decode("latin-1")
        if method not in self.METHODS:
            request.setHeader(b"allow", ", ".join(self.METHODS).encode())
            message = f"{method} is not possible here"
            reply = RefusedError(http.NOT_ALLOWED, "method_not_allowed", message).reply
            return write_reply(request, reply)
        # A client may go before the answer is there: the work is done, nothing is written then.
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        self.answers.begin(self._respond(request, method, gone))
        return NOT_DONE_YET

    async def _respond(self, request: Request, method: str, gone: Sequence[object]) -> None:
        try:
            reply = await self.answer(method, _body(request))
        except RefusedError as refused:
            reply = refused.reply
        except McpTunnelError as error:  # such as a full disk: a sentence, for the owner alone
            self._log.error(
                "{method} on the control socket: {error}", method=method, error=str(error)
            )
            reply = RefusedError(http.INTERNAL_SERVER_ERROR, "failed", str(error)).reply
        except CancelledError:
            raise  # the stop did not wait any longer
        except Exception:  # noqa: BLE001 - the last resort of a request, told in the log
            self._log.failure("{method} on the control socket failed", method=method)
            message = "the relay could not do this; its log says why"
            reply = RefusedError(http.INTERNAL_SERVER_ERROR, "internal", message).reply
        if not gone:
            request.write(write_reply(request, reply))
            request.finish()


class KeysResource(JsonResource):
    """`/api/v1/keys`: list and make keys; each key below it."""

    METHODS = ("GET", "POST")

    def __init__(self, keys: KeyDirectory, answers: Answers) -> None:
        super().__init__(answers)
        self._keys = keys

    def getChild(self, path: bytes, _request: Request) -> Resource:
        key_id = path.decode("utf-8", "replace")
        return KeyResource(self._keys, KeyId(key_id), self.answers) if key_id else self

    async def answer(self, method: str, body: bytes) -> Reply:
        if method == "GET":
            return Reply(http.OK, {"keys": [record_to_json(r) for r in await self._keys.list()]})
        user, scope, name = read_order(body)
        issued = await self._keys.create(user=user, scope=scope, name=name)
        return Reply(http.CREATED, {"key": issued.text, **record_to_json(issued.record)})


class KeyResource(JsonResource):
    """`/api/v1/keys/ID`: revoke it."""

    METHODS = ("DELETE",)

    def __init__(self, keys: KeyDirectory, key_id: KeyId, answers: Answers) -> None:
        super().__init__(answers)
        self._keys = keys
        self._id = key_id

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, _body: bytes) -> Reply:
        if not await self._keys.revoke(self._id):
            raise RefusedError(http.NOT_FOUND, "not_found", "there is no such key in use")
        return Reply(http.NO_CONTENT)


class StatusResource(JsonResource):
    """`/api/v1/status`: what the relay is doing."""

    METHODS = ("GET",)

    def __init__(self, status: Callable[[], RelayStatus], answers: Answers) -> None:
        super().__init__(answers)
        self._status = status

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, _body: bytes) -> Reply:
        return Reply(http.OK, asdict(self._status()))


def read_order(body: bytes) -> tuple[str, Scope, str]:
    """Return user, scope and name of a key that is asked for. Raises `RefusedError`."""
    try:
        members = msgspec.json.decode(body, type=dict[str, str])
        user, name = members["user"], members.get("name", "")
        scope = Scope(members["scope"])
    except (ValueError, KeyError) as error:
        known = ", ".join(Scope)
        message = f"wanted: an object with user, scope ({known}) and maybe name, all texts"
        raise RefusedError(http.BAD_REQUEST, "bad_request", message) from error
    if not user.strip() or not (is_label(user) and is_label(name)):
        message = f"user and name are one line of at most {MAX_LABEL_CHARS} printable characters"
        raise RefusedError(http.BAD_REQUEST, "bad_request", message)
    return user, scope, name


def read_texts(body: bytes) -> dict[str, str]:
    """Return the texts of an order. Raises `RefusedError`."""
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, str])
    except ValueError as error:
        raise bad_request("wanted: an object of texts") from error


def bad_request(message: str) -> RefusedError:
    """Return the error for an order that cannot be understood."""
    return RefusedError(http.BAD_REQUEST, "bad_request", message)


def _body(request: Request) -> bytes:
    content = request.content
    body = b"" if content is None else content.read(_MAX_BODY_BYTES + 1)
    if len(body) > _MAX_BODY_BYTES:
        message = f"the body has more than {_MAX_BODY_BYTES} bytes"
        raise RefusedError(http.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
    return body


def write_reply(request: Request, reply: Reply) -> bytes:
    """Set status and headers for a reply and return its body."""
    request.setResponseCode(reply.status)
    if reply.value is None:
        return b""
    body = msgspec.json.encode(reply.value)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"content-length", str(len(body)).encode())
    return body
