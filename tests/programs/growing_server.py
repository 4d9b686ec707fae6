"""A legacy local server on a pipe whose tools grow: it says so when they have.

python -m tests.programs.growing_server
"""

import json
import sys
from typing import Any

ABOUT = {
    "protocolVersion": "2025-11-25",
    "serverInfo": {"name": "growing", "version": "1"},
    "capabilities": {"tools": {"listChanged": True}},
}


def command() -> tuple[str, ...]:
    """Return the command of such a server."""
    return (sys.executable, "-m", "tests.programs.growing_server")


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer until the pipe is closed; a call of whatever tool makes another one."""
    tools = [{"name": "grow", "inputSchema": {"type": "object"}}]
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "initialize":
                say(id=message["id"], result=ABOUT)
            case "tools/list":
                say(id=message["id"], result={"tools": tools})
            case "tools/call":
                tools.append({**tools[0], "name": f"grown{len(tools)}"})
                say(method="notifications/tools/list_changed")
                said = {"content": [{"type": "text", "text": "grown"}]}
                say(id=message["id"], result=said)
            case _ if "id" in message:
                say(id=message["id"], error={"code": -32601, "message": "no such method"})


if __name__ == "__main__":
    main()
