"""The control socket: `/api/v1` for commands on the same machine, over a unix socket.

Whoever can open the socket may make keys, so it is the owner's alone: mode 0600 in a private
directory, and the peer's user id is checked where the system tells it.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUNIX, ISystemHandle
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from mcptunnel.errors import McpTunnelError
from mcptunnel.net.unix_path import UnixPath
from mcptunnel.relay.control_api import (
    Answers,
    KeyDirectory,
    KeysResource,
    NotFound,
    RefusedError,
    RelayStatus,
    StatusResource,
    write_reply,
)
from mcptunnel.relay.control_devices import DevicesResource, KnownDevices
from mcptunnel.relay.control_grants import Grants, GrantsResource
from mcptunnel.relay.control_users import People, UsersResource

SOCKET_NAME = "control.sock"
"""The socket's name in a `state_dir`."""


class ControlSocketError(McpTunnelError):
    """The control socket cannot be opened."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """What commands can ask of."""

    keys: KeyDirectory
    status: Callable[[], RelayStatus]
    devices: KnownDevices | None = None
    people: People | None = None
    grants: Grants | None = None


class ControlSocket(Service):
    """Serves the control socket at `path` while the service runs."""

    def __init__(
        self,
        path: Path,
        commanded: Commanded,
        reactor: IReactorUNIX,
        clock: IReactorTime,
    ) -> None:
        self._path = path
        self._clock = clock
        self._answers = Answers()
        self._site: Any = control_site(commanded, clock, self._answers)
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


def control_site(commanded: Commanded, clock: IReactorTime, answers: Answers) -> Site:
    """Return the site of the control socket, without access log."""
    root, api, version = NotFound(), NotFound(), NotFound()
    root.putChild(b"api", api)
    api.putChild(b"v1", version)
    version.putChild(b"keys", KeysResource(commanded.keys, answers))
    version.putChild(b"status", StatusResource(commanded.status, answers))
    if commanded.devices is not None:
        version.putChild(b"devices", DevicesResource(commanded.devices, answers))
    if commanded.people is not None:
        version.putChild(b"users", UsersResource(commanded.people, answers))
    if commanded.grants is not None:
        version.putChild(b"grants", GrantsResource(commanded.grants, answers))
    return QuietSite(OwnerOnly(root), reactor=clock)


class QuietSite(Site):
    """A site without access log."""

    noisy = False

    def logPrefix(self) -> str:
        return "control socket"

    def log(self, request: http.Request) -> None:
        pass


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
