"""A legacy local server on a pipe whose tools and resources change: it says so when they have.

python -m tests.programs.growing_server
"""

import json
import sys
from typing import Any

TOOL = {"name": "grow", "inputSchema": {"type": "object"}}
RESOURCES = ("plant:leaf", "plant:root")
ABOUT = {
    "protocolVersion": "2025-11-25",
    "serverInfo": {"name": "growing", "version": "1"},
    "capabilities": {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
    },
}


def command() -> tuple[str, ...]:
    """Return the command of such a server."""
    return (sys.executable, "-m", "tests.programs.growing_server")


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


class Plant:
    """What there is, and who wants to hear of it."""

    def __init__(self) -> None:
        self.tools = [TOOL]
        self.subscribed: set[str] = set()

    def answer(self, method: str, params: Any) -> Any:
        """Return a result; None for an unknown method."""
        found: Any = None
        match method:
            case "initialize":
                found = ABOUT
            case "tools/list":
                found = {"tools": self.tools}
            case "tools/call":
                found = self.grow()
            case "resources/list":
                found = {"resources": [{"uri": uri, "name": uri} for uri in RESOURCES]}
            case "resources/templates/list":
                found = {"resourceTemplates": []}
            case "resources/subscribe":
                self.subscribed.add(params["uri"])
                found = {}
            case "resources/unsubscribe":
                self.subscribed.discard(params["uri"])
                found = {}
        return found

    def grow(self) -> Any:
        """Make another tool, and change all resources."""
        self.tools.append({**TOOL, "name": f"grown{len(self.tools)}"})
        for uri in sorted(self.subscribed):
            say(method="notifications/resources/updated", params={"uri": uri})
        say(method="notifications/tools/list_changed")
        return {"content": [{"type": "text", "text": "grown"}]}


def main() -> None:
    """Answer until the pipe is closed."""
    plant = Plant()
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            found = plant.answer(message["method"], message.get("params"))
            error = {"code": -32601, "message": "no such method"}
            said = {"error": error} if found is None else {"result": found}
            say(id=message["id"], **said)


if __name__ == "__main__":
    main()
