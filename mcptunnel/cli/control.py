"""Speaks to a running relay over its control socket."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from mcptunnel.errors import McpTunnelError
from mcptunnel.net.unix_path import UnixPath

_TIMEOUT_S = 10.0
_MAX_REPLY_BYTES = 64 * 1024 * 1024
_ERROR_STATUS = 400


class ControlError(McpTunnelError):
    """The running relay refused, or could not be understood; `status` is 0 for the latter."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ControlClient:
    """Requests to the control socket at `path`, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_live(self) -> bool:
        """Tell whether a program listens on the socket.

        Raises `ControlError` when the socket is there, but not for this user.
        """
        try:
            _UnixConnection(self._path).probe()
        except PermissionError as error:
            raise ControlError(
                f"{self._path}: permission denied. Run this as the user who runs the relay."
            ) from error
        except OSError:
            # No socket, a stale one, or a path that cannot be one: nothing runs there.
            return False
        return True

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the JSON value of the answer, or None for an empty one. Raises `ControlError`."""
        connection = _UnixConnection(self._path)
        sent = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if sent else {}
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            content = answer.read(_MAX_REPLY_BYTES)
            value = json.loads(content) if content else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise ControlError(f"the relay at {self._path} does not answer: {reason}") from error
        finally:
            connection.close()
        if answer.status >= _ERROR_STATUS:
            raise ControlError(_message(value, answer.status), answer.status)
        return value


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        with UnixPath(self._path) as name:
            self.sock.connect(name.text)

    def probe(self) -> None:
        try:
            self.connect()
        finally:
            self.close()


def _message(value: Any, status: int) -> str:
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return f"the running relay says: {message or f'status {status}'}"
