"""Unix sockets at paths of any length."""

import errno
import socket
from pathlib import Path

import pytest

from mcptunnel.net import unix_path
from mcptunnel.net.unix_path import UnixPath


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_short_path_is_itself() -> None:
    with UnixPath(Path("/run/control.sock")) as name:
        assert name.text == "/run/control.sock"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are no files here")
def test_a_long_path_can_be_bound_connected_and_removed(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 100) / "control.sock"
    path.parent.mkdir()
    before = _open_files()
    with UnixPath(path) as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name.text)
        listener.listen()
        assert path.is_socket()
        with UnixPath(path) as other, socket.socket(socket.AF_UNIX) as client:
            client.connect(other.text)
        Path(name.text).unlink()
    assert not path.exists()
    assert _open_files() == before


def test_a_long_path_into_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        UnixPath(tmp_path / ("x" * 100) / "control.sock")


def test_where_descriptors_are_no_files_a_long_path_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_path, "_DESCRIPTORS", tmp_path / "none")
    with pytest.raises(OSError, match="too long") as caught:
        UnixPath(tmp_path / ("x" * 100))
    assert caught.value.errno == errno.ENAMETOOLONG
