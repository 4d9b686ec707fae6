"""What the suite starts as a client: `client.py tunnel|direct URL`, URL being the suite's own server.

It starts a tunnel whose agent has that server, and has the SDK's client for the suite speak to the
relay; the exit status is that client's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.interop import environments
from tests.interop.tunnel import ServerEntry, Tunnel

NAME = "suite"
BEARER = Path(__file__).with_name("bearer_client.py")
CLIENT = Path(".github/actions/conformance/client.py")


def main() -> int:
    """Run the client; what it needs beside the URL is in the environment."""
    _, route, url = sys.argv
    if route == "direct":
        return _client(url, "")
    with tempfile.TemporaryDirectory() as folder:
        entry = ServerEntry(NAME, url=url)
        with Tunnel(Path(folder), [entry], wait_for_tools=False) as tunnel:
            return _client(f"{tunnel.origin}/servers/{NAME}/mcp", tunnel.token)


def _client(url: str, token: str) -> int:
    made = environments.python_mcp_2()
    argv = [str(made.python), str(BEARER), str(made.sources / CLIENT), url]
    return subprocess.run(argv, env={**os.environ, "BEARER": token}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
