"""An MCP server that costs as little as Python can: what is measured is the way to it.

    python echo_server.py --stdio
    python echo_server.py --http PORT

Standard library alone. Tools: `echo` (`size` letters) and `progress` (`n` notifications at once).
It speaks the initialize handshake and 2026-07-28; `--legacy` takes the latter away.
"""

import json
import os
import select
import socket
import sys
from functools import cache
from typing import Any

LEGACY_VERSION = "2025-06-18"
MODERN_VERSION = "2026-07-28"
READ_BYTES = 256 * 1024

_MODERN_MARK = b'"io.modelcontextprotocol/protocolVersion"'
_HINTS = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}
_INTEGER = {"type": "integer"}
_TOOLS = [
    {
        "name": "echo",
        "description": "Give back as many letters as `size` says.",
        "inputSchema": {"type": "object", "properties": {"size": _INTEGER}},
    },
    {
        "name": "progress",
        "description": "Report progress `n` times, at once.",
        "inputSchema": {"type": "object", "properties": {"n": _INTEGER}},
    },
]
_IGNORED: tuple[list[bytes], bytes | None] = ([], None)


@cache
def _text_result(size: int, modern: bool) -> bytes:
    result: dict[str, Any] = {"content": [{"type": "text", "text": "x" * size}], "isError": False}
    return json.dumps({**result, "resultType": "complete"} if modern else result).encode()


class Answers:
    """Messages in, messages out."""

    def __init__(self, *, legacy_only: bool) -> None:
        self._legacy_only = legacy_only

    def answer(self, body: bytes) -> tuple[list[bytes], bytes | None]:
        """Return the progress notifications and the response; None for what has no answer."""
        message = json.loads(body)
        request_id, method = message.get("id"), message.get("method")
        if request_id is None or method is None:
            return _IGNORED
        params = message.get("params", {})
        modern = _MODERN_MARK in body
        if method == "tools/call":
            result, progress = self._call(params, modern)
            if result is not None:
                head = b'{"jsonrpc":"2.0","id":%b,"result":' % json.dumps(request_id).encode()
                return progress, b"%b%b}" % (head, result)
        found = self._result(method, params)
        if found is None:
            error = {"code": -32601, "message": f"Unknown method or tool in {method}"}
            outcome: dict[str, Any] = {"error": error}
        else:
            outcome = {"result": {**_HINTS, **found} if modern else found}
        return [], json.dumps({"jsonrpc": "2.0", "id": request_id, **outcome}).encode()

    def _call(self, params: dict[str, Any], modern: bool) -> tuple[bytes | None, list[bytes]]:
        arguments = params.get("arguments", {})
        if params.get("name") == "echo":
            return _text_result(arguments.get("size", 0), modern), []
        if params.get("name") == "progress":
            token = params.get("_meta", {}).get("progressToken")
            steps = arguments.get("n", 0) if token is not None else 0
            return _text_result(4, modern), _notifications(token, steps)
        return None, []

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        if method == "initialize":
            return {
                "protocolVersion": params.get("protocolVersion", LEGACY_VERSION),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "echo", "version": "1"},
            }
        if method == "server/discover" and not self._legacy_only:
            return {"supportedVersions": [MODERN_VERSION], "capabilities": {"tools": {}}}
        if method == "tools/list":
            return {"tools": _TOOLS}
        return {} if method == "ping" else None


def _notifications(token: str | int, steps: int) -> list[bytes]:
    head = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'
    start = f'{head}{json.dumps(token)},"total":{steps},"progress":'
    return [f"{start}{step}}}}}".encode() for step in range(1, steps + 1)]


def serve_stdio(answers: Answers) -> None:
    """Answer line by line until stdin ends."""
    rest = b""
    while data := os.read(0, READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        out: list[bytes] = []
        for line in lines:
            if line:
                progress, response = answers.answer(line)
                out += progress
                if response is not None:
                    out.append(response)
        if out:
            _write_all(b"\n".join([*out, b""]))


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


class Connection:
    """One keep-alive HTTP connection."""

    def __init__(self, peer: socket.socket, answers: Answers) -> None:
        self._peer = peer
        self._answers = answers
        self._received = b""
        self._to_send = memoryview(b"")

    def read(self) -> bool:
        """Take what came; return False at its end."""
        data = self._peer.recv(READ_BYTES)
        self._received = self._received + data if self._received else data
        while (request := self._next_request()) is not None:
            self._send(self._respond(*request))
        return bool(data)

    def _next_request(self) -> tuple[bytes, bytes] | None:
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head = self._received[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = end + int(head[at + 17 : head.index(b"\r\n", at + 2)])
            if len(self._received) < stop:
                return None
            body = self._received[end:stop]
        elif b"\r\ntransfer-encoding:" in head:
            found = _dechunk(self._received, end)
            if found is None:
                return None
            body, stop = found
        else:
            body, stop = b"", end
        self._received = self._received[stop:]
        return head, body

    def _respond(self, head: bytes, body: bytes) -> bytes:
        if not head.startswith(b"post"):
            status = b"200 OK" if head.startswith(b"delete") else b"405 Method Not Allowed"
            return b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status
        progress, response = self._answers.answer(body)
        if response is None:
            return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        if progress:
            return _event_stream([*progress, response])
        session = b"Mcp-Session-Id: echo\r\n" if b'"initialize"' in body else b""
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
            % (session, len(response), response)
        )

    def _send(self, data: bytes) -> None:
        pending = memoryview(bytes(self._to_send) + data) if self._to_send else memoryview(data)
        self._to_send = pending
        self.write()

    def write(self) -> None:
        """Send what the socket takes."""
        while self._to_send:
            try:
                sent = self._peer.send(self._to_send)
            except BlockingIOError:
                return
            self._to_send = self._to_send[sent:]

    @property
    def wants_to_write(self) -> bool:
        return bool(self._to_send)


def _event_stream(messages: list[bytes]) -> bytes:
    events = [b"event: message\ndata: %b\n\n" % message for message in messages]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    return b"%b\r\n%b0\r\n\r\n" % (head, chunks)


def _dechunk(data: bytes, at: int) -> tuple[bytes, int] | None:
    body: list[bytes] = []
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line].split(b";")[0], 16)
        stop = line + 2 + size + 2
        if len(data) < stop:
            return None
        if not size:
            return b"".join(body), stop
        body.append(data[line + 2 : stop - 2])
        at = stop
    return None


def serve_http(port: int, answers: Answers) -> None:
    """Answer on 127.0.0.1 until killed; one thread, level-triggered epoll."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, Connection] = {}
    peers: dict[int, socket.socket] = {}
    while True:
        for number, event in poll.poll():
            if number == listener.fileno():
                peer, _ = listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()] = peer
                connections[peer.fileno()] = Connection(peer, answers)
                poll.register(peer, select.EPOLLIN)
                continue
            connection = connections[number]
            waited = connection.wants_to_write
            try:
                if event & select.EPOLLOUT:
                    connection.write()
                alive = not event & ~select.EPOLLOUT or connection.read()
            except OSError:
                alive = False
            if not alive:
                del connections[number]
                poll.unregister(number)
                peers.pop(number).close()
            elif connection.wants_to_write != waited:
                out = select.EPOLLOUT if connection.wants_to_write else 0
                poll.modify(number, select.EPOLLIN | out)


def main(argv: list[str]) -> None:
    """Serve as the arguments say."""
    answers = Answers(legacy_only="--legacy" in argv)
    if "--stdio" in argv:
        serve_stdio(answers)
    else:
        serve_http(int(argv[argv.index("--http") + 1]), answers)


if __name__ == "__main__":
    main(sys.argv[1:])
