"""The demo server over Streamable HTTP, of both eras: `/legacy` with sessions, `/modern` without.

    python -m tests.programs.http_server PORT

It answers every request with an event stream. A modern client cancels by closing that.
"""

import contextlib
import http.server
import itertools
import json
import queue
import select
import socket
import sys
import threading
from typing import Any

from mcptunnel.testing.demo_server import Server

POLL_S = 0.02
SESSION_ID = "a-session"


def command(port: int) -> tuple[str, ...]:
    """Return the command that serves on a port; it prints `ready`."""
    return (sys.executable, "-m", "tests.programs.http_server", str(port))


class Era:
    """One demo server, shared by all requests: ids and progress tokens are ours on its side."""

    def __init__(self, era: str) -> None:
        self._server = Server(self._write, era=era)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._queues: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._known: dict[Any, int] = {}

    def _write(self, line: bytes) -> None:
        message = json.loads(line)
        number = message.get("id") or message.get("params", {}).get("progressToken")
        waiting = self._queues.get(number)
        if waiting is not None:
            waiting.put(message)

    def notify(self, message: dict[str, Any]) -> None:
        """Take a notification; the request that it cancels is named as the client knows it."""
        params = message.get("params", {})
        if "requestId" in params:
            params["requestId"] = self._known.get(params["requestId"])
        self._receive(message)

    def cancel(self, number: int) -> None:
        """Cancel a request by our number."""
        params = {"requestId": number}
        self._receive({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def ask(self, message: dict[str, Any]) -> tuple[int, "queue.SimpleQueue[dict[str, Any]]"]:
        """Send a request on; return our number and where the messages about it come."""
        number = next(self._ids)
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._queues[number] = answers
        self._known[message["id"]] = number
        meta = message.get("params", {}).get("_meta", {})
        if "progressToken" in meta:
            meta["progressToken"] = number
        self._receive({**message, "id": number})
        return number, answers

    def forget(self, number: int) -> None:
        self._queues.pop(number, None)

    def _receive(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._server.receive(json.dumps(message).encode())


ERAS = {"/legacy": Era("legacy"), "/modern": Era("modern")}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        era = ERAS[self.path]
        is_session = self.path == "/legacy" and message.get("method") != "initialize"
        if is_session and self.headers.get("mcp-session-id") != SESSION_ID:
            # As a legacy server does, which also shows that it is none of the modern ones.
            self._empty(400)
        elif "id" not in message:
            era.notify(message)
            self._empty(202)
        else:
            self._stream(era, message)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def _stream(self, era: Era, message: dict[str, Any]) -> None:
        client_id = message["id"]
        token = message.get("params", {}).get("_meta", {}).get("progressToken")
        number, answers = era.ask(message)
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        if message["method"] == "initialize":
            self.send_header("mcp-session-id", SESSION_ID)
        self.end_headers()
        is_over = False
        while not is_over and not self._is_gone():
            try:
                found = answers.get(timeout=POLL_S)
            except queue.Empty:
                continue
            is_over = "method" not in found
            if is_over:
                found["id"] = client_id
            else:
                found["params"]["progressToken"] = token
            with contextlib.suppress(OSError):  # the next look at the connection tells
                self.wfile.write(b"data: %b\n\n" % json.dumps(found).encode())
        if not is_over:
            era.cancel(number)
        era.forget(number)

    def _is_gone(self) -> bool:
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def do_DELETE(self) -> None:
        self._empty(200)

    def do_GET(self) -> None:
        self._empty(405)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write no access log."""


class LoopbackServer(http.server.ThreadingHTTPServer):
    """A thread per connection."""

    daemon_threads = True


def main() -> None:
    """Serve until killed."""
    server = LoopbackServer(("127.0.0.1", int(sys.argv[1])), Endpoint)
    print("ready", flush=True)  # noqa: T201 - this is awaited
    server.serve_forever()


if __name__ == "__main__":
    main()
