"""The server of `owner_server` over Streamable HTTP, one process for all owners: `owner_http.py PORT`.

The owner is the path. Session ids are `session-1`, `session-2` and so on for each owner, so that
those of different owners are the same. It prints `ready`.
"""

import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from owner_server import Json, Owner  # type: ignore[import-not-found, unused-ignore]  # beside this


class Sessions:
    """The sessions of one owner."""

    def __init__(self, name: str) -> None:
        self.owner = Owner(name)
        self._ids = itertools.count(1)
        self.known: set[str] = set()

    def begin(self) -> str:
        """Return the id of a new session."""
        session_id = f"session-{next(self._ids)}"
        self.known.add(session_id)
        return session_id


_all: dict[str, Sessions] = {}
_lock = threading.Lock()


class Exchange(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with _lock:
            sessions = _all.setdefault(self.path[1:], Sessions(self.path[1:]))
        session_id = self.headers.get("Mcp-Session-Id", "")
        if message.get("method") == "initialize":
            session_id = sessions.begin()
        if session_id not in sessions.known:
            self._empty(404 if session_id else 400)
        elif "method" not in message:
            sessions.owner.answer(message)
            self._empty(202)
        elif "id" not in message:
            self._empty(202)
        else:
            self._stream(sessions.owner, message, session_id)

    def do_GET(self) -> None:
        self._empty(405)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _stream(self, owner: Owner, message: Json, session_id: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Mcp-Session-Id", session_id)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

        def emit(sent: Json) -> None:
            self.wfile.write(b"data: %s\n\n" % json.dumps({"jsonrpc": "2.0", **sent}).encode())
            self.wfile.flush()

        owner.request(message, emit)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1])), Exchange)
    print("ready", flush=True)  # noqa: T201 - who started us waits for it
    server.serve_forever()
