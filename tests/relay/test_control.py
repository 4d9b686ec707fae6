"""The control socket: who may use it, what it answers."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import json
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent

from mcptunnel.auth.keys import IssuedKey, KeyId, KeyRecord, Scope
from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.model import Principal
from mcptunnel.relay import control
from mcptunnel.relay.control import STOP_TIMEOUT_S, ControlSocket, ControlSocketError
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures


class _Keys:
    """A directory in memory; `wait` makes `list` wait for it, `broken` is raised by it."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.wait: Deferred[None] | None = None
        self.broken: Exception | None = None

    async def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey:
        key_id = KeyId(f"id{len(self.records)}")
        record = KeyRecord(
            id=key_id, scope=scope, principal=Principal("local", user), name=name, created_s=1.5
        )
        self.records[key_id] = record
        return IssuedKey(record=record, text=f"mcpt_ak_{key_id}")

    async def list(self) -> Sequence[KeyRecord]:
        if self.broken is not None:
            raise self.broken
        if self.wait is not None:
            await self.wait
        return list(self.records.values())

    async def revoke(self, key_id: KeyId) -> bool:
        return self.records.pop(key_id, None) is not None


class _Served:
    def __init__(self, path: Path, reactor: Any) -> None:
        self.path = path
        self.keys = _Keys()
        self.service = ControlSocket(path, self.keys, reactor, reactor)

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        return await deferToThread(ControlClient(self.path).request, method, path, body)

    async def refused(self, method: str, path: str, body: Any = None) -> int:
        with pytest.raises(ControlError) as caught:
            await self.request(method, path, body)
        return caught.value.status

    async def raw(self, request: bytes) -> bytes:
        return cast("bytes", await deferToThread(_exchange, self.path, request))


def _exchange(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


@pytest.fixture
def served(tmp_path: Path, running_reactor: Any) -> Any:
    served = _Served(tmp_path / "control.sock", running_reactor)
    served.service.startService()
    yield served
    pytest_twisted.blockon(ensureDeferred(served.service.stopService()))


@pytest_twisted.ensureDeferred
async def test_the_life_of_a_key(served: _Served) -> None:
    made = await served.request(
        "POST", "/api/v1/keys", {"user": "alice", "scope": "mcp", "name": "cursor"}
    )
    record = {
        "id": "id0",
        "scope": "mcp",
        "issuer": "local",
        "user": "alice",
        "name": "cursor",
        "created_s": 1.5,
        "last_used_s": None,
        "revoked_s": None,
    }
    assert made == {"key": "mcpt_ak_id0", **record}
    assert await served.request("GET", "/api/v1/keys") == {"keys": [record]}
    assert await served.request("DELETE", "/api/v1/keys/id0") is None
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}
    assert await served.refused("DELETE", "/api/v1/keys/id0") == 404


@pytest_twisted.ensureDeferred
async def test_status_and_headers(served: _Served) -> None:
    body = json.dumps({"user": "alice", "scope": "agent"}).encode()
    answer = await served.raw(
        b"POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"content-type: application/json\r\n" in answer.lower()
    assert b"cache-control: no-store\r\n" in answer.lower()
    answer = await served.raw(
        b"DELETE /api/v1/keys/id0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/keys/a/b", None, 404),
        ("GET", "/api/v1/keys/a", None, 405),
        ("DELETE", "/api/v1/keys", None, 405),
        ("PUT", "/api/v1/keys", None, 405),
        ("POST", "/api/v1/keys", None, 400),
        ("POST", "/api/v1/keys", [], 400),
        ("POST", "/api/v1/keys", {"user": "alice"}, 400),
        ("POST", "/api/v1/keys", {"user": "alice", "scope": "admin"}, 400),
        ("POST", "/api/v1/keys", {"user": 5, "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": " ", "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": "a\nb", "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": "a", "scope": "mcp", "name": "x" * 256}, 400),
        ("POST", "/api/v1/keys", {"user": "a" * 20_000, "scope": "mcp"}, 413),
    ],
)
@pytest_twisted.ensureDeferred
async def test_refusals(served: _Served, method: str, path: str, body: Any, status: int) -> None:
    assert await served.refused(method, path, body) == status
    assert served.keys.records == {}


@pytest_twisted.ensureDeferred
async def test_an_error_is_logged_and_told_without_details(
    served: _Served, logged_failures: LoggedFailures
) -> None:
    served.keys.broken = ZeroDivisionError()
    with pytest.raises(ControlError, match="its log says why") as caught:
        await served.request("GET", "/api/v1/keys")
    assert caught.value.status == 500
    assert len(logged_failures.take(ZeroDivisionError)) == 1


@pytest_twisted.ensureDeferred
async def test_an_expected_error_is_a_sentence(served: _Served) -> None:
    """In the log, without a traceback, and to the person at the command line."""
    served.keys.broken = StoreError("the store x failed: database or disk is full")
    with capturedLogs() as logged, pytest.raises(ControlError, match="or disk is full") as caught:
        await served.request("GET", "/api/v1/keys")
    assert caught.value.status == 500
    (event,) = [event for event in logged if "control socket" in str(formatEvent(event))]
    assert "log_failure" not in event
    assert "or disk is full" in str(formatEvent(event))


def _ask(path: Path) -> socket.socket:
    """Ask for the keys, and wait for nothing."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    connection.sendall(b"GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_answers(served: _Served, running_reactor: Any) -> None:
    wait: Deferred[None] = Deferred()
    served.keys.wait = wait
    with _ask(served.path) as connection:
        await _turns(running_reactor)
        stopped = ensureDeferred(served.service.stopService())
        await _turns(running_reactor)
        assert not stopped.called
        wait.callback(None)
        await stopped
        await _turns(running_reactor)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_only_so_long(tmp_path: Path, running_reactor: Any) -> None:
    """What takes too long is cancelled, and that is no error."""
    path, clock = tmp_path / "control.sock", Clock()
    keys = _Keys()
    keys.wait = Deferred()
    service = ControlSocket(path, keys, running_reactor, clock)
    service.startService()
    with _ask(path):
        await _turns(running_reactor)
        stopped = ensureDeferred(service.stopService())
        await _turns(running_reactor)
        clock.advance(STOP_TIMEOUT_S - 0.1)
        assert not stopped.called
        clock.advance(0.2)
        await stopped
    await _turns(running_reactor)


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_harms_nothing(served: _Served, running_reactor: Any) -> None:
    wait: Deferred[None] = Deferred()
    served.keys.wait = wait
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.path))
        connection.sendall(b"GET /api/v1/keys HTTP/1.1\r\nHost: x\r\n\r\n")
        await _turns(running_reactor)
    await _turns(running_reactor)
    served.keys.wait = None
    wait.callback(None)
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _turns(reactor: Any) -> None:
    for _ in range(10):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn


@pytest_twisted.ensureDeferred
async def test_another_user_is_refused(served: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "peer_uid", lambda _transport: os.geteuid() + 1)
    assert await served.refused("GET", "/api/v1/keys") == 403
    assert await served.refused("POST", "/api/v1/keys", {"user": "a", "scope": "mcp"}) == 403
    monkeypatch.setattr(control, "peer_uid", lambda _transport: None)
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}


@pytest_twisted.ensureDeferred
async def test_the_peer_is_known(served: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []
    real = control.peer_uid

    def peer_uid(transport: object) -> int | None:
        seen.append(real(transport))
        return seen[-1]

    monkeypatch.setattr(control, "peer_uid", peer_uid)
    await served.request("GET", "/api/v1/keys")
    expected = os.geteuid() if hasattr(socket, "SO_PEERCRED") else None
    assert seen == [expected]
    assert real(object()) is None


@pytest_twisted.ensureDeferred
async def test_the_socket_is_private_and_goes_with_the_service(served: _Served) -> None:
    mode = served.path.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await served.service.stopService()
    assert not served.path.exists()


def test_a_live_socket_is_left_alone(served: _Served, running_reactor: Any) -> None:
    other = ControlSocket(served.path, _Keys(), running_reactor, running_reactor)
    with pytest.raises(ControlSocketError, match="another relay is running"):
        other.startService()
    assert served.path.exists()


@pytest_twisted.ensureDeferred
async def test_a_stale_socket_is_replaced(tmp_path: Path, running_reactor: Any) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    service = ControlSocket(path, _Keys(), running_reactor, running_reactor)
    service.startService()
    assert ControlClient(path).is_live()
    await service.stopService()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path, running_reactor: Any) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(ControlSocketError, match="is no socket"):
        ControlSocket(path, _Keys(), running_reactor, running_reactor).startService()
    assert path.read_text() == "precious"


def test_a_socket_that_cannot_be_opened_is_named(tmp_path: Path, running_reactor: Any) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "control.sock"
    with pytest.raises(ControlSocketError, match=r"file/control\.sock cannot be opened"):
        ControlSocket(path, _Keys(), running_reactor, running_reactor).startService()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="short paths only on this system")
@pytest_twisted.ensureDeferred
async def test_a_long_path_is_no_matter(tmp_path: Path, running_reactor: Any) -> None:
    """Neither to the relay, started twice, nor to the commands."""
    path = tmp_path / ("x" * 100) / "control.sock"
    descriptors = _open_files()
    served = _Served(path, running_reactor)
    for _ in range(2):
        served.service.startService()
        assert await served.request("GET", "/api/v1/keys") == {"keys": []}
        with pytest.raises(ControlSocketError, match="another relay is running"):
            ControlSocket(path, _Keys(), running_reactor, running_reactor).startService()
        await served.service.stopService()
        assert not path.exists()
    await _turns(running_reactor)
    assert _open_files() == descriptors
