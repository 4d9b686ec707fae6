"""The control socket: `/api/v1` for commands on the same machine, over a unix socket.

Whoever can open the socket may make keys, so it is the owner's alone: mode 0600 in a private
directory, and the peer's user id is checked where the system tells it.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUNIX, ISystemHandle
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

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
from mcptunnel.net.unix_path import UnixPath

SOCKET_NAME = "control.sock"
"""The socket's name in a `state_dir`."""

STOP_TIMEOUT_S = 2.0
"""How long a stop waits for requests that are being answered: less than twistd's patience."""

_MAX_BODY_BYTES = 16 * 1024


class ControlSocketError(McpTunnelError):
    """The control socket cannot be opened."""


class KeyDirectory(Protocol):
    """The API keys, as the control socket needs them."""

    async def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey: ...

    async def list(self) -> Sequence[KeyRecord]: ...

    async def revoke(self, key_id: KeyId) -> bool: ...


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


class ControlSocket(Service):
    """Serves the control socket at `path` while the service runs."""

    def __init__(
        self, path: Path, keys: KeyDirectory, reactor: IReactorUNIX, clock: IReactorTime
    ) -> None:
        self._path = path
        self._clock = clock
        self._answers = Answers()
        self._site: Any = control_site(keys, clock, self._answers)
        self._reactor = reactor
        self._name: UnixPath | None = None
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Open the socket. Raises `ControlSocketError`."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._name = UnixPath(self._path)
            remove_stale_socket(self._path, self._name.text)
            self._port = self._reactor.listenUNIX(
                self._name.text, self._site, mode=0o600, wantPID=False
            )
        except (OSError, CannotListenError) as error:
            self._close_name()
            raise ControlSocketError(f"{self._path} cannot be opened: {error}") from error
        except ControlSocketError:
            self._close_name()
            raise
        super().startService()

    async def stopService(self) -> None:
        """Close the socket, remove it, and let what is asked be answered, within a limit."""
        super().stopService()
        port, self._port = self._port, None
        try:
            if port is not None:
                await maybeDeferred(port.stopListening)  # removes its file, by that name
        finally:
            self._close_name()
        await self._answers.settled(self._clock)

    def _close_name(self) -> None:
        if self._name is not None:
            self._name.close()


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


def remove_stale_socket(path: Path, name: str) -> None:
    """Remove what a relay that was killed left at `path`, which the system knows as `name`.

    Raises `ControlSocketError` when a relay is listening there, or it is no socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ControlSocketError(f"{path} is there and is no socket. Move it away.")
    with socket.socket(socket.AF_UNIX) as probe:
        # A live relay's backlog takes the connection at once; this never waits.
        probe.setblocking(False)
        if probe.connect_ex(name) != errno.ECONNREFUSED:
            raise ControlSocketError(
                f"another relay is running with {path.parent}."
                " Stop it, or give this one another state_dir."
            )
    path.unlink()


def control_site(keys: KeyDirectory, clock: IReactorTime, answers: Answers) -> Site:
    """Return the site of the control socket, without access log."""
    root, api, version = NotFound(), NotFound(), NotFound()
    root.putChild(b"api", api)
    api.putChild(b"v1", version)
    version.putChild(b"keys", KeysResource(keys, answers))
    return QuietSite(OwnerOnly(root), reactor=clock)


class QuietSite(Site):
    """A site without access log."""

    noisy = False

    def log(self, request: http.Request) -> None:
        pass


class NotFound(Resource):
    """A place with nothing but what is below it."""

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    def render(self, request: Request) -> bytes:
        message = "there is nothing at this path"
        return write_reply(request, RefusedError(http.NOT_FOUND, "not_found", message).reply)


class OwnerOnly(Resource):
    """Lets only the user of this process, and root, reach what is below."""

    def __init__(self, root: Resource) -> None:
        super().__init__()
        self._root = root

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        assert request.channel is not None  # noqa: S101 - it is reading a request
        uid = peer_uid(request.channel.transport)
        if uid is not None and uid not in (0, os.geteuid()):
            return Forbidden()
        child: Resource = self._root.getChildWithDefault(path, request)
        return child


class Forbidden(NotFound):
    """The answer to another user, wherever they look."""

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return self

    def render(self, request: Request) -> bytes:
        message = "only the user who runs the relay may use its control socket"
        return write_reply(request, RefusedError(http.FORBIDDEN, "forbidden", message).reply)


class JsonResource(Resource):
    """Answers `METHODS` with JSON; an exception is logged and answered with 500."""

    _log = Logger()
    METHODS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    async def answer(self, method: str, body: bytes) -> Reply:
        """Answer one of `METHODS`. Raises `RefusedError` for an answer that is an error."""
        raise NotImplementedError

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


def _body(request: Request) -> bytes:
    content = request.content
    body = b"" if content is None else content.read(_MAX_BODY_BYTES + 1)
    if len(body) > _MAX_BODY_BYTES:
        message = f"the body has more than {_MAX_BODY_BYTES} bytes"
        raise RefusedError(http.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
    return body


def peer_uid(transport: object) -> int | None:
    """Return the user id of the process at the other end, or None where that is not told."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or not ISystemHandle.providedBy(transport):
        return None
    connection: Any = ISystemHandle(transport).getHandle()
    credentials = struct.Struct("3i")
    packed = connection.getsockopt(socket.SOL_SOCKET, option, credentials.size)
    uid: int = credentials.unpack(packed)[1]
    return uid


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
