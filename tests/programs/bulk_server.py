"""An HTTP server that gives and takes bodies of any size, made on the fly.

    python -m tests.programs.bulk_server PORT

`GET` answers with as many bytes of `content` as the field `x-bytes` says; `POST` says how many came,
and their checksum; with `x-stop-after` it reads so many and no more. `x-events` makes an event stream
with so many events, `x-interval` seconds apart. What was sent and taken is told by `GET` with
`x-report`: then nothing else counts.
"""

import http.server
import json
import random
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

BLOCK_BYTES = 1024 * 1024
PIECE_BYTES = 64 * 1024

_BLOCK = random.Random(7).randbytes(BLOCK_BYTES)


def content(total_bytes: int) -> Iterator[bytes]:
    """Yield bytes in which every block is another one."""
    number = 0
    while total_bytes > 0:
        size = min(total_bytes, BLOCK_BYTES)
        block = (b"%016d" % number + _BLOCK)[:size]
        for start in range(0, size, PIECE_BYTES):
            yield block[start : start + PIECE_BYTES]
        total_bytes -= size
        number += 1


def checksum(total_bytes: int) -> int:
    """Return the checksum of so much content."""
    found = 0
    for piece in content(total_bytes):
        found = zlib.crc32(piece, found)
    return found


def command(port: int) -> tuple[str, ...]:
    """Return the command that serves on a port; it prints `ready`."""
    return (sys.executable, "-m", "tests.programs.bulk_server", str(port))


class Bulk(http.server.BaseHTTPRequestHandler):
    """One connection. `counts` are bytes and events by the name that `x-name` gives a request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 0
    counts: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        if "x-report" in self.headers:
            self._json(dict(self.counts))
        elif "x-events" in self.headers:
            self._events(int(self.headers["x-events"]), float(self.headers["x-interval"]))
        else:
            self._give(int(self.headers["x-bytes"]))

    def do_POST(self) -> None:
        total, found = 0, 0
        for piece in self._body():
            total += len(piece)
            found = zlib.crc32(piece, found)
            self._count(len(piece))
            if total >= int(self.headers.get("x-stop-after", sys.maxsize)):
                time.sleep(3600)
        self._json({"bytes": total, "checksum": found})

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers["content-length"])
        while left:
            piece = self.rfile.read(min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece

    def _count(self, number: int) -> None:
        self.counts[self.headers.get("x-name", "")] += number

    def _give(self, total_bytes: int) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/octet-stream")
        self.send_header("content-length", str(total_bytes))
        self.end_headers()
        try:
            for piece in content(total_bytes):
                self.connection.sendall(piece)
                self._count(len(piece))
        except OSError:
            self.close_connection = True
            self.counts[self.headers.get("x-name", "") + " broken"] += 1

    def _events(self, events: int, interval_s: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(events):
            event = b"id: %d\ndata: %d\n\n" % (number, number)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            time.sleep(interval_s)
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write no access log."""


class LoopbackServer(http.server.ThreadingHTTPServer):
    """A thread per connection."""

    daemon_threads = True


def main() -> None:
    """Serve until killed."""
    threading.excepthook = lambda _: None  # connections that tests break are no news
    server = LoopbackServer(("127.0.0.1", int(sys.argv[1])), Bulk)
    print("ready", flush=True)  # noqa: T201 - this is awaited
    server.serve_forever()


if __name__ == "__main__":
    main()
