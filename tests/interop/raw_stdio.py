"""What a stdio server says about its tools, read without any SDK."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

PROTOCOL = "2025-11-25"


def list_tools(command: Sequence[str], env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Start the server, shake hands (legacy), follow tools/list to the end, and stop it."""
    tools: list[dict[str, Any]] = []
    with subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            about = {"clientInfo": {"name": "raw", "version": "1"}, "capabilities": {}}
            _ask(server, 1, "initialize", {"protocolVersion": PROTOCOL, **about})
            _send(server, {"method": "notifications/initialized"})
            params: dict[str, Any] = {}
            for request_id in range(2, 100):
                page = _ask(server, request_id, "tools/list", params)
                tools += page["tools"]
                if "nextCursor" not in page:
                    break
                params = {"cursor": page["nextCursor"]}
        finally:
            server.kill()
    return tools


def _send(server: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    server.stdin.flush()


def _ask(
    server: subprocess.Popen[bytes], request_id: int, method: str, params: dict[str, Any]
) -> dict[str, Any]:
    _send(server, {"id": request_id, "method": method, "params": params})
    assert server.stdout is not None
    for line in server.stdout:
        message = json.loads(line)
        if message.get("id") == request_id and "method" not in message:
            result: dict[str, Any] = message["result"]
            return result
    raise RuntimeError(f"{server.args!r} ended before it answered {method}.")
