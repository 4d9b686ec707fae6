"""The client of the control socket, against sockets that misbehave."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcptunnel.cli.control import ControlClient, ControlError

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


@contextmanager
def _answering(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """Serve one connection: read what comes first, answer, close."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            with connection.makefile("rb") as stream:
                request = b"".join(iter(stream.readline, b"\r\n"))
                length = re.search(rb"content-length: (\d+)", request.lower())
                request += stream.read(int(length[1]) if length else 0)
            connection.sendall(answer(request))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def test_without_a_socket_nothing_is_live(tmp_path: Path) -> None:
    assert not ControlClient(tmp_path / "control.sock").is_live()
    assert not ControlClient(tmp_path / ("x" * 200)).is_live()


def test_a_stale_socket_is_not_live(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert not ControlClient(tmp_path / "s").is_live()


def test_a_listening_socket_is_live(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert ControlClient(tmp_path / "s").is_live()


def test_a_socket_of_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object) -> None:
        raise PermissionError

    monkeypatch.setattr("mcptunnel.cli.control._UnixConnection.probe", refuse)
    with pytest.raises(ControlError, match="as the user who runs the relay"):
        ControlClient(tmp_path / "s").is_live()


def test_a_request_is_plain_http_with_json(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return _OK % (7, b'{"a":1}')

    with _answering(tmp_path / "s", answer):
        assert ControlClient(tmp_path / "s").request("POST", "/x", {"b": "ü"}) == {"a": 1}
    assert seen[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"content-type: application/json\r\n" in seen[0]
    assert seen[0].endswith(b'{"b": "\\u00fc"}')


@pytest.mark.parametrize(
    ("answer", "message", "status"),
    [
        (b"", "does not answer", 0),
        (b"SSH-2.0-x\r\n", "does not answer", 0),
        (_OK % (3, b"{a}"), "does not answer", 0),
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n[]", "status 500", 500),
        (
            b'HTTP/1.1 404 X\r\nContent-Length: 28\r\n\r\n{"error":{"message":"gone!"}}',
            "does not answer",
            0,
        ),
        (
            b'HTTP/1.1 404 X\r\nContent-Length: 29\r\n\r\n{"error":{"message":"gone!"}}',
            "says: gone!",
            404,
        ),
    ],
)
def test_what_is_no_good_answer(answer: bytes, message: str, status: int, tmp_path: Path) -> None:
    with (
        _answering(tmp_path / "s", lambda _request: answer),
        pytest.raises(ControlError, match=message) as caught,
    ):
        ControlClient(tmp_path / "s").request("GET", "/x")
    assert caught.value.status == status
