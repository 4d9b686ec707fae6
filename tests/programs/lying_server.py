"""A local server on a pipe that is up, and whose list of tools is of no use.

    python -m tests.programs.lying_server silent|slow|endless|circle|nonsense|error|noisy

`slow` lists its tool, but takes ten seconds for it; `noisy` lists its tool among lines that are no messages.
"""

import json
import sys
import time
from typing import Any

MODERN = "2026-07-28"
SLOW_S = 10.0
NOISE = (
    "Listening on stdio ...",
    "{",
    "[1]",
    '{"jsonrpc": "2.0", "id": "nobody", "result": {}}',
    "",
)
KINDS = ("silent", "slow", "endless", "circle", "nonsense", "error", "noisy")
INFO = {"name": "liar", "version": "1"}


def command(kind: str) -> tuple[str, ...]:
    """Return the command of such a server."""
    return (sys.executable, "-m", "tests.programs.lying_server", kind)


def _tool(name: str) -> Any:
    return {"name": name, "inputSchema": {"type": "object"}}


def _list(kind: str, cursor: str | None) -> Any:
    """Return what is answered to `tools/list`; None if nothing."""
    page = int(cursor or 0)
    if kind == "slow":
        time.sleep(SLOW_S)
    lists = {
        "silent": None,
        "endless": {"tools": [_tool(f"t{page}")], "nextCursor": str(page + 1)},
        "circle": {"tools": [_tool(f"t{page}")], "nextCursor": str((page + 1) % 3)},
        "nonsense": {"tools": "many"},
    }
    if kind == "error":
        return {"error": {"code": -32603, "message": "no licence"}}
    found = lists.get(kind, {"tools": [_tool("hello")]})
    return None if found is None else {"result": found}


def _answer(kind: str, message: Any) -> Any:
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            about = {"protocolVersion": version, "serverInfo": INFO, "capabilities": {"tools": {}}}
            return {"result": about}
        case "tools/list":
            return _list(kind, message.get("params", {}).get("cursor"))
        case "tools/call":
            return {"result": {"content": [{"type": "text", "text": "hello"}]}}
    return {"error": {"code": -32601, "message": "Method not found"}}


def main() -> None:
    """Answer until the pipe is closed."""
    kind = sys.argv[1]
    for line in sys.stdin:
        message = json.loads(line)
        lines = list(NOISE) if kind == "noisy" else []
        answer = _answer(kind, message) if "id" in message else None
        if answer is not None:
            lines.append(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}))
        sys.stdout.write("".join(f"{each}\n" for each in lines))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
