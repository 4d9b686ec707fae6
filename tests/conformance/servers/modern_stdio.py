"""Runs a stdio server of both eras as one of the modern era alone: `modern_stdio.py COMMAND...`.

A request without the modern envelope is answered here, as such a server would.
"""

import json
import subprocess
import sys
import threading
from typing import IO

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
MODERN = "2026-07-28"
UNSUPPORTED_VERSION = -32022

_writing = threading.Lock()


def main() -> int:
    """Pass lines both ways until the input ends; return the server's exit status."""
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        threading.Thread(target=_pass_answers, args=(server.stdout,)).start()
        for line in sys.stdin.buffer:
            refusal = _refusal(line)
            if refusal is None:
                server.stdin.write(line)
                server.stdin.flush()
            elif refusal:
                _write(refusal)
        server.stdin.close()
        return server.wait()


def _pass_answers(answers: IO[bytes]) -> None:
    for line in answers:
        _write(line)


def _write(line: bytes) -> None:
    with _writing:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _refusal(line: bytes) -> bytes | None:
    """Return the answer to a message of the older era, empty for a notification; None for a good one."""
    message = json.loads(line)
    if VERSION_KEY in message.get("params", {}).get("_meta", {}):
        return None
    if "id" not in message:
        return None if message["method"] == "notifications/cancelled" else b""
    asked = message.get("params", {}).get("protocolVersion", "none")
    error = {
        "code": UNSUPPORTED_VERSION,
        "message": "Unsupported protocol version",
        "data": {"supported": [MODERN], "requested": asked},
    }
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
