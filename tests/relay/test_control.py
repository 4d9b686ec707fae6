"""The control socket: who may use it, and where it is."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from mcptunnel.cli.control import ControlClient
from mcptunnel.relay import control
from mcptunnel.relay.control import Commanded, ControlSocket, ControlSocketError
from tests.relay.control_socket import Keys, Served, idle, turns


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest_twisted.ensureDeferred
async def test_another_user_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "peer_uid", lambda _transport: os.geteuid() + 1)
    assert await served.refused("GET", "/api/v1/keys") == 403
    assert await served.refused("POST", "/api/v1/keys", {"user": "a", "scope": "mcp"}) == 403
    monkeypatch.setattr(control, "peer_uid", lambda _transport: None)
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}


@pytest_twisted.ensureDeferred
async def test_the_peer_is_known(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_the_socket_is_private_and_goes_with_the_service(served: Served) -> None:
    mode = served.path.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    await served.service.stopService()
    assert not served.path.exists()


def test_a_live_socket_is_left_alone(served: Served, running_reactor: Any) -> None:
    other = ControlSocket(served.path, Commanded(Keys(), idle), running_reactor, running_reactor)
    with pytest.raises(ControlSocketError, match="another relay is running"):
        other.startService()
    assert served.path.exists()


@pytest_twisted.ensureDeferred
async def test_a_stale_socket_is_replaced(tmp_path: Path, running_reactor: Any) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    service = ControlSocket(path, Commanded(Keys(), idle), running_reactor, running_reactor)
    service.startService()
    assert ControlClient(path).is_live()
    await service.stopService()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path, running_reactor: Any) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(ControlSocketError, match="is no socket"):
        ControlSocket(
            path, Commanded(Keys(), idle), running_reactor, running_reactor
        ).startService()
    assert path.read_text() == "precious"


def test_a_socket_that_cannot_be_opened_is_named(tmp_path: Path, running_reactor: Any) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "control.sock"
    with pytest.raises(ControlSocketError, match=r"file/control\.sock cannot be opened"):
        ControlSocket(
            path, Commanded(Keys(), idle), running_reactor, running_reactor
        ).startService()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="short paths only on this system")
@pytest_twisted.ensureDeferred
async def test_a_long_path_is_no_matter(tmp_path: Path, running_reactor: Any) -> None:
    """Neither to the relay, started twice, nor to the commands."""
    path = tmp_path / ("x" * 100) / "control.sock"
    descriptors = _open_files()
    served = Served(path, running_reactor)
    for _ in range(2):
        served.service.startService()
        assert await served.request("GET", "/api/v1/keys") == {"keys": []}
        with pytest.raises(ControlSocketError, match="another relay is running"):
            ControlSocket(
                path, Commanded(Keys(), idle), running_reactor, running_reactor
            ).startService()
        await served.service.stopService()
        assert not path.exists()
    await turns(running_reactor)
    assert _open_files() == descriptors
