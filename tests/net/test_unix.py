"""Sockets at paths that no socket's address can hold."""

import os
import socket
from pathlib import Path

import pytest

from mcptunnel.net.unix import MAX_SOCKET_PATH_BYTES, short_path


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_short_path_stays_as_it_is() -> None:
    path = Path("/run/x.sock")
    with short_path(path) as same:
        assert same == path


def test_a_long_path_can_be_listened_on_and_reached(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    path = directory / "control.sock"
    before = open_files()
    with short_path(path) as ours, socket.socket(socket.AF_UNIX) as server:
        assert len(os.fsencode(ours)) <= MAX_SOCKET_PATH_BYTES
        server.bind(os.fspath(ours))
        server.listen()
        with short_path(path) as theirs, socket.socket(socket.AF_UNIX) as client:
            assert theirs != ours
            client.connect(os.fspath(theirs))
    assert path.is_socket()
    assert open_files() == before


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), short_path(tmp_path / ("d" * 120) / "x.sock"):
        pass
