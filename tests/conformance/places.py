"""Where the suite is run: the reference server itself, and the endpoints of a tunnel in front of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.cases import CASES, ServerCase
from tests.interop.processes import free_port
from tests.interop.tunnel import ServerEntry, Tunnel

_BY_NAME = {case.name: case for case in CASES}

HTTP: ServerCase = _BY_NAME["reference-http"]
STDIO: ServerCase = _BY_NAME["reference"]


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, and the token that opens it."""

    url: str
    token: str = ""


@contextmanager
def running(case: ServerCase, folder: Path) -> Iterator[str]:
    """Run an HTTP server; its URL. It knows itself as localhost, and refuses other names."""
    port = free_port()
    with case.start(port, folder):
        yield f"http://localhost:{port}/mcp"


@contextmanager
def tunnelled(case: ServerCase, url: str, folder: Path) -> Iterator[dict[str, Place]]:
    """Run a tunnel in front of one server, whose names the hub leaves alone; its endpoints by name."""
    command = case.command() if case.command is not None else ()
    entry = ServerEntry(case.name, command=command, url="" if command else url, prefix="")
    with ExitStack() as stack:
        tunnel = stack.enter_context(Tunnel(folder, [entry]))
        yield {
            "transparent": Place(f"{tunnel.origin}/servers/{case.name}/mcp", tunnel.token),
            "hub": Place(tunnel.url, tunnel.token),
        }
