"""The demo server with one more tool, `note`, that writes down in a file that it runs.

It answers a little later, so that there is a time in which the call ran and nobody knows.

python -m tests.programs.counting_server FILE
"""

import os
import sys
from pathlib import Path

from mcptunnel.testing import demo_server, demo_tools
from mcptunnel.testing.demo_tools import Call, Entry, Json

PAUSE_S = 0.15


def command(file: Path) -> tuple[str, ...]:
    """Return the command of a server that notes in a file."""
    return (sys.executable, "-m", "tests.programs.counting_server", str(file))


def main() -> None:
    """Serve until stdin ends."""
    file = os.open(sys.argv.pop(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(call: Call) -> Json:
        os.write(file, f"{call.arguments['id']}\n".encode())
        call.cancelled.wait(PAUSE_S)
        return {"sum": 0}

    listed = {
        **demo_tools.TOOLS["add"].listed,
        "name": "note",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "text": {"type": "string"}},
        },
    }
    demo_tools.TOOLS["note"] = Entry(listed, note, slow=True)
    demo_server.main()


if __name__ == "__main__":
    main()
